//! Resource limits of a spawned container: what it asks for, up to the configured ceilings, and the
//! ceilings when it asks for nothing.

use bollard::models::HostConfig;
use exomonad_schema::effects::docker::DockerSpawn;
use exomonad_schema::{EffectError, ErrorCode};

use super::config::{DockerConfig, MIN_CPU_MILLIS, MIN_MEMORY_BYTES};
use super::effect_context::EffectContext;

/// The period over which the kernel counts processor time, in microseconds.
const CPU_PERIOD_MICROS: i64 = 100_000;

/// Sets the limits. To Docker zero means "no limit", which is never what is set here.
pub(super) fn limit(
    context: &EffectContext,
    config: &DockerConfig,
    request: &DockerSpawn,
    host: &mut HostConfig,
) -> Result<(), EffectError> {
    let memory = within(
        context,
        "memoryBytes",
        request.memory_bytes,
        MIN_MEMORY_BYTES,
        ("docker.max_memory", config.max_memory.get()),
    )?;
    let cpu_millis = within(
        context,
        "cpuMillis",
        request.cpu_millis.map(u64::from),
        MIN_CPU_MILLIS.into(),
        ("docker.max_cpu_millis", config.max_cpu_millis.into()),
    )?;
    let processes = within(
        context,
        "maxProcesses",
        request.max_processes.map(u64::from),
        1,
        ("docker.max_processes", config.max_processes.into()),
    )?;
    host.memory = Some(memory);
    // Memory and swap together: none on top.
    host.memory_swap = Some(memory);
    // A quota, since the engine refuses a number of processors that it does not have.
    host.cpu_period = Some(CPU_PERIOD_MICROS);
    host.cpu_quota = Some(cpu_millis.saturating_mul(CPU_PERIOD_MICROS / 1000));
    host.pids_limit = Some(processes);
    Ok(())
}

fn within(
    context: &EffectContext,
    field: &str,
    asked: Option<u64>,
    least: u64,
    (key, ceiling): (&str, u64),
) -> Result<i64, EffectError> {
    let amount = asked.unwrap_or(ceiling);
    if amount < least {
        return Err(context.invalid(format_args!(
            "`{field}` is {amount}; ask for {least} or more"
        )));
    }
    if amount > ceiling {
        return Err(context.error(
            ErrorCode::LimitExceeded,
            format_args!(
                "`{field}` is {amount}, and the limit is {ceiling} (`{key}`); ask for less"
            ),
        ));
    }
    // The configuration is checked to be within it.
    Ok(i64::try_from(amount).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use exomonad_schema::EffectKind;

    use super::*;
    use crate::test_call::call;

    fn limited(fields: &str) -> Result<HostConfig, EffectError> {
        let request: DockerSpawn =
            serde_json::from_str(&format!(r#"{{"image":"debian"{fields}}}"#)).unwrap();
        let context = EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "debian");
        let mut host = HostConfig::default();
        limit(&context, &DockerConfig::default(), &request, &mut host)?;
        Ok(host)
    }

    #[test]
    fn a_container_that_asks_for_nothing_gets_the_ceilings() {
        let host = limited("").unwrap();
        assert_eq!(host.memory, Some(2 << 30));
        assert_eq!(host.memory_swap, Some(2 << 30));
        assert_eq!(host.cpu_quota, Some(200_000));
        assert_eq!(host.pids_limit, Some(1024));
    }

    #[test]
    fn less_may_be_requested_but_not_more_and_not_zero() {
        let host = limited(r#","cpuMillis":500,"maxProcesses":7"#).unwrap();
        assert_eq!((host.cpu_quota, host.pids_limit), (Some(50_000), Some(7)));
        for zero in [
            r#","memoryBytes":0"#,
            r#","cpuMillis":0"#,
            r#","maxProcesses":0"#,
        ] {
            assert_eq!(
                limited(zero).unwrap_err().code,
                ErrorCode::InvalidInput,
                "{zero}"
            );
        }
        let error = limited(r#","memoryBytes":18446744073709551615"#).unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded);
        assert!(error.message.contains("docker.max_memory"), "{error}");
    }
}
