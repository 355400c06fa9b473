// Package plan is what differs between what should be in Consul and what is there, and
// what of it may be done. It is pure, as package desired is, which it knows; the same
// input gives the same plan, byte for byte.
//
//	decide.go   what is to become of one task's services on one agent: the only place
//	            that decides it, for plans and for the workers that carry them out
//	checks.go   the same for our checks on them
//	compare.go  both sides compared, agent by agent; home.go: which agent a task belongs to
//	holders.go  what the model has to know of Consul before: who has a name, another Marathon
//	keys.go     one name's keys compared with its labels
//	plan.go     the plan, its changes, and what Consul holds as far as it could be read
//	guard.go    which removals may be done, those of plans (Filter) and those of events (Allow:
//	            lost tasks within a minute), with the guard's memory; policy.go: the limits, and why
//	            one is held back; loss.go: what a plan would lose; confirm.go: what is to be
//	            asked for first
//	turned.go   which services may turn critical: the same guard
//	explain.go  what is there of one app, task or service (explanation.go: its shape);
//	            asked.go: which is asked for;
//	            reasons.go: why something is not there; story.go: for people and for machines
//	table.go    a plan for people (a table) and for machines (JSON)
//
// An agent that tells of a service nothing else than what the model wants costs no
// change. What is in our way and somebody else's is a Conflict, and left alone.
package plan
