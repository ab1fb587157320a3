//! A decision, in the form that an agent reads: exit code, standard output, standard error.

use exomonad_schema::common::{HookDecision, HookOutput};
use serde_json::{Map, Value, json};

use super::{Agent, EventKind, NamedEvent};

/// The answer of a hook's command to its agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// The exit code: 0, or 2 for what is denied.
    pub code: u8,
    /// JSON for standard output.
    pub output: Option<Value>,
    /// Text for standard error, which the agent shows to its model if the code is 2.
    pub error: Option<String>,
}

/// The reason for what has none.
const NO_REASON: &str = "The policy of this project denies it.";

impl Reply {
    /// The reply that denies: exit code 2 denies with each of the agents, whatever they make of the output.
    pub fn deny(reason: &str) -> Self {
        Self {
            code: 2,
            output: None,
            error: Some(reason.to_owned()),
        }
    }

    fn json(output: Value) -> Self {
        Self {
            output: Some(output),
            ..Self::default()
        }
    }
}

impl Agent {
    /// The reply to an event on which a plugin has decided.
    pub fn reply(self, event: &NamedEvent, decided: &HookOutput) -> Reply {
        let reason = decided.reason.as_deref();
        let payload = decided.payload.as_ref();
        let payload = payload.map(|payload| payload.parse::<Value>().unwrap_or_default());
        match event.kind {
            EventKind::Gate => self.gate(event, decided.decision, reason, payload),
            EventKind::Permission => self.permission(event, decided.decision, reason),
            EventKind::Block if decided.decision == HookDecision::Deny => {
                self.block(event, reason.unwrap_or(NO_REASON))
            }
            EventKind::Block | EventKind::Context => self.context(event, reason),
            EventKind::Notice => Reply::default(),
        }
    }

    /// True if the agent can put a question to its user instead of going on.
    const fn asks(self) -> bool {
        matches!(self, Self::Claude | Self::Cursor)
    }

    fn gate(
        self,
        event: &NamedEvent,
        decision: HookDecision,
        reason: Option<&str>,
        payload: Option<Value>,
    ) -> Reply {
        use HookDecision as Decision;
        let decision = match decision {
            Decision::Deny => return Reply::deny(reason.unwrap_or(NO_REASON)),
            Decision::Ask if !self.asks() => {
                let reason = reason.unwrap_or("The policy of this project wants the user asked.");
                return Reply::deny(&format!("{reason} Ask the user to do it."));
            }
            Decision::Allow => Some("allow"),
            Decision::Ask => Some("ask"),
            Decision::Pass => None,
        };
        if decision.is_none() && payload.is_none() {
            return Reply::default();
        }
        Reply::json(match self {
            Self::Claude | Self::Codex => {
                let mut says = Map::new();
                says.insert("hookEventName".to_owned(), event.name.into());
                insert(&mut says, "permissionDecision", decision);
                insert(&mut says, "permissionDecisionReason", reason);
                insert(&mut says, "updatedInput", payload);
                json!({"hookSpecificOutput": says})
            }
            Self::Gemini => {
                let mut says = Map::new();
                insert(&mut says, "decision", decision);
                insert(&mut says, "reason", reason);
                let input = payload.map(|payload| json!({"tool_input": payload}));
                insert(&mut says, "hookSpecificOutput", input);
                Value::Object(says)
            }
            Self::Cursor => {
                let mut says = Map::new();
                says.insert("permission".to_owned(), decision.unwrap_or("allow").into());
                insert(&mut says, "user_message", reason);
                insert(&mut says, "updated_input", payload);
                Value::Object(says)
            }
            Self::Opencode => json!({"args": payload}),
        })
    }

    fn permission(self, event: &NamedEvent, decision: HookDecision, reason: Option<&str>) -> Reply {
        let behavior = match decision {
            HookDecision::Allow => "allow",
            HookDecision::Deny => "deny",
            // The agent asks its user anyway.
            HookDecision::Ask | HookDecision::Pass => return Reply::default(),
        };
        Reply::json(match self {
            Self::Opencode => json!({"status": behavior}),
            _ => {
                let mut says = Map::new();
                says.insert("behavior".to_owned(), behavior.into());
                insert(&mut says, "message", reason.filter(|_| behavior == "deny"));
                json!({"hookSpecificOutput": {"hookEventName": event.name, "decision": says}})
            }
        })
    }

    fn block(self, event: &NamedEvent, reason: &str) -> Reply {
        Reply::json(match (self, event.name) {
            (Self::Cursor, "stop") => json!({"followup_message": reason}),
            (Self::Cursor, _) => json!({"continue": false, "user_message": reason}),
            (Self::Gemini, _) => json!({"decision": "deny", "reason": reason}),
            _ => json!({"decision": "block", "reason": reason}),
        })
    }

    fn context(self, event: &NamedEvent, reason: Option<&str>) -> Reply {
        let (Some(reason), Self::Claude | Self::Codex | Self::Gemini) = (reason, self) else {
            return Reply::default();
        };
        // Events whose output has no place for context have one for the user.
        match event.name {
            "Stop" | "SubagentStop" | "PreCompact" | "AfterAgent" => {
                Reply::json(json!({"systemMessage": reason}))
            }
            name => Reply::json(json!({
                "hookSpecificOutput": {"hookEventName": name, "additionalContext": reason}
            })),
        }
    }
}

fn insert<T: Into<Value>>(object: &mut Map<String, Value>, key: &str, value: Option<T>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use exomonad_schema::RawJson;

    use super::*;

    fn reply(agent: Agent, name: &str, decision: HookDecision) -> Reply {
        let decided = HookOutput {
            decision,
            reason: Some("why".to_owned()),
            payload: None,
        };
        agent.reply(agent.event(name).unwrap(), &decided)
    }

    #[test]
    fn a_gate_that_denies_exits_with_two_for_every_agent() {
        for agent in Agent::ALL {
            let gates = agent.events().iter();
            for gate in gates.filter(|event| event.kind == EventKind::Gate) {
                let reply = reply(*agent, gate.name, HookDecision::Deny);
                assert_eq!(reply, Reply::deny("why"), "{agent:?} {}", gate.name);
            }
        }
    }

    #[test]
    fn an_agent_that_cannot_ask_its_user_is_denied() {
        let asks = reply(Agent::Claude, "PreToolUse", HookDecision::Ask);
        let output = asks.output.unwrap();
        assert_eq!(output["hookSpecificOutput"]["permissionDecision"], "ask");
        for (agent, name) in [
            (Agent::Codex, "PreToolUse"),
            (Agent::Gemini, "BeforeTool"),
            (Agent::Opencode, "tool.execute.before"),
        ] {
            let reply = reply(agent, name, HookDecision::Ask);
            assert_eq!(reply.code, 2, "{agent:?}");
            assert!(reply.error.unwrap().starts_with("why "), "{agent:?}");
        }
    }

    #[test]
    fn no_decision_says_nothing() {
        let pass = HookOutput {
            decision: HookDecision::Pass,
            reason: None,
            payload: None,
        };
        for agent in Agent::ALL {
            for event in agent.events() {
                assert_eq!(
                    agent.reply(event, &pass),
                    Reply::default(),
                    "{}",
                    event.name
                );
            }
        }
    }

    #[test]
    fn other_arguments_go_to_the_agent() {
        let decided = HookOutput {
            decision: HookDecision::Allow,
            reason: None,
            payload: Some(RawJson::from_text(r#"{"command":"ls"}"#.to_owned()).unwrap()),
        };
        let output = |agent: Agent, name| {
            let reply = agent.reply(agent.event(name).unwrap(), &decided);
            reply.output.unwrap()
        };
        let claude = output(Agent::Claude, "PreToolUse");
        assert_eq!(
            claude["hookSpecificOutput"]["updatedInput"]["command"],
            "ls"
        );
        let gemini = output(Agent::Gemini, "BeforeTool");
        assert_eq!(gemini["hookSpecificOutput"]["tool_input"]["command"], "ls");
        let opencode = output(Agent::Opencode, "tool.execute.before");
        assert_eq!(opencode["args"]["command"], "ls");
    }
}
