//! Looking at schedules, and changing them.

use anyhow::Result;
use serde_json::Value;

use crate::{
    client::{Client, Schedule},
    options::{ScheduleOptions, SchedulesCommand},
    output::say,
    table::{self, one_line, time},
};

pub(crate) async fn run(command: SchedulesCommand) -> Result<()> {
    match command {
        SchedulesCommand::List(options) => list(&Client::new(&options.service.url)?.schedules().await?),
        SchedulesCommand::Show(options) => show(&client(&options)?.schedule(&options.name).await?),
        SchedulesCommand::Put(options) => {
            let client = Client::new(&options.service.url)?;
            show(&client.put_schedule(&options.name, &options.to_request()).await?);
        }
        SchedulesCommand::Enable(options) => {
            show(&client(&options)?.enable_schedule(&options.name).await?);
        }
        SchedulesCommand::Disable(options) => {
            show(&client(&options)?.disable_schedule(&options.name).await?);
        }
        SchedulesCommand::Run(options) => {
            let id = client(&options)?.run_schedule(&options.name).await?;
            say!("job {id} is enqueued; look at it with `resume-service jobs show {id}`");
        }
        SchedulesCommand::Delete(options) => {
            let schedule = client(&options)?.delete_schedule(&options.name).await?;
            say!("deleted the schedule {}", one_line(&schedule.name));
        }
    }
    Ok(())
}

fn client(options: &ScheduleOptions) -> Result<Client> {
    Client::new(&options.service.url)
}

fn list(schedules: &[Schedule]) {
    if schedules.is_empty() {
        say!("no schedule");
        return;
    }
    let row = |schedule: &Schedule| {
        let next = match &schedule.next_at {
            _ if !schedule.enabled => "disabled".to_owned(),
            Some(at) => time(at),
            None => "never".to_owned(),
        };
        let last = schedule.last_at.as_deref().map(time).unwrap_or_default();
        let job = schedule.last_job_id.map_or_else(String::new, |id| id.to_string());
        [schedule.name.clone(), timing(schedule), schedule.kind.clone(), next, last, job]
    };
    let rows: Vec<_> = schedules.iter().map(row).collect();
    table::print_rows(["schedule", "when", "kind", "next", "last", "last job"], &rows);
}

fn show(schedule: &Schedule) {
    let state = if schedule.enabled { "enabled" } else { "disabled" };
    say!("schedule {}, {state}", one_line(&schedule.name));
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("  {name:<12} {}", one_line(&value));
        }
    };
    line("when", Some(timing(schedule)));
    line("kind", Some(schedule.kind.clone()));
    line("args", Some(&schedule.args).filter(|args| **args != Value::Null).map(Value::to_string));
    line("priority", Some(schedule.priority).filter(|&p| p != 0).map(|p| p.to_string()));
    line("attempts", Some(format!("up to {}", schedule.max_attempts)));
    line("missed", Some(schedule.missed.clone()));
    line(
        "jitter",
        Some(&schedule.jitter).filter(|jitter| *jitter != "0s").map(|jitter| format!("up to {jitter}")),
    );
    line("last", schedule.last_at.as_deref().map(time));
    line("last job", schedule.last_job_id.map(|id| id.to_string()));
    line("error", schedule.last_error.clone());
    line("created", Some(time(&schedule.created_at)));
    line("changed", Some(time(&schedule.updated_at)));
    line("next", schedule.next_at.as_deref().map(time));
    for tick in schedule.next_ticks.iter().filter(|tick| Some(*tick) != schedule.next_at.as_ref()) {
        line("", Some(time(tick)));
    }
}

/// When a schedule fires, in words.
fn timing(schedule: &Schedule) -> String {
    match (&schedule.cron, &schedule.at) {
        (Some(cron), _) => format!("{cron} {}", schedule.time_zone.as_deref().unwrap_or_default()),
        (None, Some(at)) => format!("once, {}", time(at)),
        (None, None) => String::new(),
    }
}
