-- Something to find in a test database.
CREATE TABLE things (id bigint PRIMARY KEY);
