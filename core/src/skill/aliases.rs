//! Spellings that mean one skill.
//!
//! To add one: put its folded form (lower case, single spaces) into the row of its key, or add a row. Only
//! spellings of the same thing belong here: a search for one must want the other. So `AngularJS` is not
//! Angular, Java is not `JavaScript`, and SCSS is not Sass. A change here changes what documents parse to:
//! raise `parsing::PARSER_VERSION`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Rows of a canonical key and its aliases, by key.
pub(super) const ALIASES: &[(&str, &[&str])] = &[
    (".net", &["dotnet", "dot net"]),
    ("angular", &["angular2", "angular 2", "angular 2+"]),
    ("angularjs", &["angular.js", "angular js"]),
    ("apache airflow", &["airflow"]),
    ("apache kafka", &["kafka"]),
    ("apache spark", &["spark"]),
    ("asp.net", &["aspnet", "asp .net"]),
    ("aws", &["amazon web services", "amazon web services (aws)", "amazon aws"]),
    ("azure", &["microsoft azure", "ms azure"]),
    ("c#", &["csharp", "c-sharp", "c sharp"]),
    ("c++", &["cpp", "cplusplus", "c plus plus"]),
    ("ci/cd", &["cicd", "ci cd", "ci-cd"]),
    ("css", &["css3"]),
    ("d3.js", &["d3", "d3js"]),
    ("django rest framework", &["drf", "django-rest-framework"]),
    ("elasticsearch", &["elastic search"]),
    ("ember.js", &["ember", "emberjs"]),
    ("express", &["express.js", "expressjs", "express js"]),
    ("f#", &["fsharp", "f-sharp", "f sharp"]),
    ("gcp", &["google cloud platform", "google cloud platform (gcp)", "google cloud"]),
    ("github actions", &["gh actions"]),
    ("go", &["golang", "go lang"]),
    ("graphql", &["graph ql"]),
    ("html", &["html5"]),
    ("javascript", &["js", "java script"]),
    ("jquery", &["j query"]),
    ("kubernetes", &["k8s", "kubernetes (k8s)"]),
    ("mariadb", &["maria db"]),
    ("mongodb", &["mongo", "mongo db"]),
    ("mysql", &["my sql"]),
    ("nestjs", &["nest.js", "nest js"]),
    ("next.js", &["nextjs", "next js"]),
    ("node.js", &["node", "nodejs", "node js", "node-js"]),
    ("nuxt", &["nuxt.js", "nuxtjs", "nuxt js"]),
    ("objective-c", &["objective c", "objectivec", "objc", "obj-c"]),
    ("postgresql", &["postgres", "pgsql", "postgre", "postgre sql", "postgres sql"]),
    ("power bi", &["powerbi", "microsoft power bi"]),
    ("powershell", &["power shell"]),
    ("python", &["python3", "python 3"]),
    ("pytorch", &["py torch"]),
    ("rabbitmq", &["rabbit mq"]),
    ("react", &["reactjs", "react.js", "react js", "react-js"]),
    ("react native", &["reactnative", "react-native"]),
    ("redux", &["reduxjs", "redux.js"]),
    ("rest api", &["rest apis", "rest-api", "restful api", "restful apis"]),
    ("ruby on rails", &["rails", "ror", "rubyonrails"]),
    ("rust", &["rustlang", "rust lang"]),
    ("scikit-learn", &["scikit learn", "scikitlearn", "sklearn"]),
    ("socket.io", &["socketio"]),
    ("spring boot", &["springboot", "spring-boot"]),
    ("sql server", &["microsoft sql server", "ms sql server", "mssql", "ms sql", "ms-sql"]),
    ("sqlite", &["sqlite3"]),
    ("svelte", &["sveltejs", "svelte.js"]),
    ("tailwind css", &["tailwind", "tailwindcss"]),
    ("tensorflow", &["tensor flow"]),
    ("three.js", &["threejs", "three js"]),
    ("typescript", &["ts", "type script"]),
    ("unity", &["unity3d", "unity 3d"]),
    ("unreal engine", &["unreal"]),
    ("vb.net", &["visual basic .net", "vb .net"]),
    ("vue", &["vue.js", "vuejs", "vue js"]),
    ("webgl", &["web gl"]),
    ("websocket", &["websockets", "web socket", "web sockets"]),
];

static KEY_OF_ALIAS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    ALIASES.iter().flat_map(|(key, aliases)| aliases.iter().map(move |alias| (*alias, *key))).collect()
});

/// The key that a folded name is an alias of, `None` when it is none.
pub(super) fn meaning(folded: &str) -> Option<&'static str> {
    KEY_OF_ALIAS.get(folded).copied()
}
