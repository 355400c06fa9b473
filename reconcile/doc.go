// Package reconcile makes Consul what Marathon says it should be. It is the
// only package that knows both.
//
// Events and answers of Marathon keep a model of what should be in Consul
// (Desired). A resync compares the model with all that is, in one Plan that one
// Policy judges. Each failure domain of Consul, an agent, the KV store or the
// catalog, has workers, the only ones who write there: they look at what a plan or
// an event has named.
//
// # Deciding and doing
//
// Deciding is pure: no context, no log, no clock (times are arguments), and no
// result depends on map order. The same input gives the same plan, byte for
// byte.
//
//	desired.go   the model
//	look.go      what it says should be of one thing: Look and Labels
//	hear.go, journal.go    what an event changes in it, and what is remembered of it
//	answer.go, forget.go    what an answer of Marathon changes in it
//	missing.go   apps that went without a word, and the keys of their names
//	translate.go a task as a service, labels as keys
//	clash.go     two apps with one service name
//	plan.go, planner.go, plan_keys.go   the drift, and what would remove it
//	policy.go    which removals of a plan may be done
//
// Doing is everything else:
//
//	reconciler.go  Run, and how the parts are wired
//	handler.go   the stream's handler: model, then pokes
//	resync.go, agenda.go   one resync, and when the next is due
//	questions.go, reads.go   what events ask of Marathon: what waits, and the asking
//	fleet.go     the agents, one worker for each host
//	list.go, nodes.go      all of Consul listed, and what the catalog knows
//	queue.go, worker.go    what waits, and the loop with its breaker
//	services.go, keys.go, catalog.go   what a worker does with one job
//	handout.go   a plan's jobs, and who gets which when
//	tell.go      what the log tells beside what is written, each thing once
//	batch.go, summary.go, render.go   what came of it, for people
//	remove.go    a Marathon without apps, for the command remove
//
// Beside it, settings has the options, and demo the command of that name.
//
// # Flow
//
//	an event                              a resync is due (agenda)
//	  Reconciler.Event                      GET /v2/info, GET /v2/apps
//	  lock, Desired.Apply                   Desired.Replace
//	  Effects: names of things              all agents and all keys are listed
//	    tasks    names    apps to read      Desired.Plan
//	      |        |          |             Policy.Filter; GET /v2/apps/{id}
//	      |        |      readApps          Plan.jobs: names of things
//	      |        |      Desired.Answer       |
//	      |        |      Effects              |
//	      v        v          v                v
//	    a queue for each host, the KV store and the catalog: each thing once
//	  ------------------ goroutine boundary: nothing above waits ------------------
//	    the worker asks the model what should be NOW,
//	    compares it with what is there, and writes what differs
//
// There is one write path. An event never writes, and neither does a plan: both
// put jobs into queues. A job names one task's service or one name's keys, says
// on what grounds something may be removed (Removal), and never what happened.
// What was overtaken while it waited is therefore not done. A task event of a
// known app costs one write to one agent, with no listing and no request to
// Marathon.
//
// A job's grounds bound it: a worker removes what is Absent only if the job may
// remove on the grounds that hold now. So an event deregisters what has ended,
// and never what a snapshot merely lacks; that is for a plan, whose guard sees
// the whole cluster.
//
// Locks: Reconciler.mu guards the model and is held for no I/O. A node's turn
// guards what is known to be registered there, and is held during a write. So is the
// KV store's, which a resync takes to list the keys: what is read beside a write in
// flight shows neither what was nor what will be.
//
// # The event table
//
// Poked is what workers look at, read is what is asked of Marathon. Before the
// first snapshot nothing is poked: ended tasks are remembered; apps to read are
// read after that snapshot, unless it was asked for after the event; the rest is
// dropped.
//
//	event                   in the model                      poked          read
//	status_update_event
//	  RUNNING, app known    the task runs, with the event's   the task's     the app, if the task's
//	                        addresses, ports and version      service        version is not known
//	  RUNNING, app unknown  -                                 -              the app
//	  KILLING and all       tombstone, the task is dropped    the task's     -
//	  final states                                            service, and
//	                                                          always written
//	  LOST, UNREACHABLE,    the task is away; its addresses   the task's     -
//	  UNKNOWN, app known    stay known                        service
//	  the same, app unknown -                                 -              the app
//	  STAGING, STARTING,    -                                 -              -
//	  CREATED, any other
//	deployment_info         the plan's apps, by its version;  -              -
//	                        apps it stops are marked; an ID
//	                        that was no app may be one now;
//	                        its pods are known to be no apps
//	deployment_success      the same, without the mark        -              the plan's apps
//	deployment_failed       the same; its apps may be taken   -              the plan's apps
//	                        back by a change that names none
//	group_change_success    -                                 -              the apps of the plan of
//	                                                                         its version; if it names
//	                                                                         none, those of failed
//	                                                                         deployments; a resync if
//	                                                                         no such plan was heard
//	app_terminated_event    a known app is marked as stopped  -              that app, if known
//	event_stream_attached   -                                 -              -
//	any other               not subscribed to by run
//
// A task event whose app is known to be none (a pod's container, a late event of
// a deleted app) changes nothing, until a deployment names the ID or a resync
// doubts it: then it costs one read. A final state leaves a tombstone all the same,
// and is poked if the ID ever was an app's. A task that has a tombstone is deaf to
// all but final states. A state that Mesos should not know is logged once; a task
// that REST tells in one is left as it is.
//
// Many lost tasks are a partition of Mesos, which stops none of them: beyond
// the guard's limit within a minute their services stay, and a resync soon asks
// again (allowAway).
//
// And what answers do:
//
//	answer                  in the model                      poked          read
//	GET /v2/apps/{id}       app and tasks are what it says,   tasks that are the app again, if events
//	                        events heard since are replayed   or were in it, contradict it; versions
//	                                                          and the keys,  that tasks run and that
//	                                                          if labels      are not known
//	                                                          changed
//	  404                   the app and its tasks are         the same, and  -
//	                        dropped, the ID is no app; a      the tasks of
//	                        clash of names may end            the app left
//	                                                          of a clash
//	GET …/versions/{v}      that version's definition; 404:   its tasks'     -
//	                        what is registered stays          services
//	GET /v2/apps            all of the above at once; apps    - (the plan    apps with events that it
//	                        it omits, old tombstones and      compares)      could not know; versions
//	                        unused definitions are dropped;
//	                        IDs that are no apps are doubted;
//	                        failed deployments are forgotten
//
// Only group_change_success says that REST shows a change, and it names no app:
// hence the plans by version. A read that began before does not count: what is
// asked for while it is being read is read once more. Each app is read by itself,
// so that one whose answer takes long delays no other; what failed is read again
// after a pause of its own, or is told by the next snapshot. From 50 apps on, one
// resync serves for all; if only tasks' events gave cause for them, once per poll
// interval, for Marathon may hide them from us, or more tasks may start meanwhile.
//
// # Tickets, journal, tombstones
//
// Nothing of Marathon's orders anything: timestamps run backwards, a rollback
// takes versions back, final states come after the deployment's success. So we
// count ourselves. Each event heard and each read asked for takes the next
// Ticket. An answer tells nothing about events with a later ticket than its own,
// and of two answers about one app the one that was asked for later counts.
//
// The journal keeps the task events heard since the oldest read in flight was
// asked for, and an answer has those heard since its own question replayed onto
// it. Final states need no replay, for their tombstones outlast the answer. RUNNING
// and the lost states win for now if they contradict the answer, and lead to one
// more read, which settles it. That read waits a little, and longer each time that it
// is contradicted itself, for while an app's tasks start every answer is.
//
// A tombstone says that a task never runs again: no later event and no stale
// answer registers it. It goes when a snapshot that was asked for later omits
// the task, and after ten minutes at the earliest. IDs that are no apps are
// remembered for as long, so that a pod's events cost no reads.
//
// # A resync, in order
//
//  1. GET /v2/info (which framework) and GET /v2/apps. An error ends the resync:
//     nothing is removed, and the next try is paced.
//  2. The model takes the snapshot in; the definitions of versions that tasks
//     run and that are not their app's own are read. A task whose definition is
//     not known is left as it is.
//  3. All agents of hosts that are named, by the model or by a worker that is
//     still there, and all keys are listed at once.
//     - An agent has Config.Patience; one in its backoff is not asked. What could
//     not be read completely is left out of the plan: nothing is removed there.
//     - If an agent is silent, the catalog tells whether its node is dead. At the
//     first resync, at every tenth, and when keys of ours belong to no app, it also
//     names the other nodes that have services of ours; those are asked themselves.
//     A node at whose address another agent answers has no worker, and so is looked
//     for at every resync until nothing of ours is left there.
//     - Workers of hosts that nobody names and that have nothing of ours are
//     retired; that of a silent agent only when Consul has forgotten its node
//     (reapTime).
//     - When all this takes longer than a second (grace), what is to be written
//     where all has been seen is handed out already. Removals wait for the whole
//     look.
//  4. Desired.Plan: names that clash get their incumbents, each service and each
//     key is compared, what is missing is added. Services at the wrong agent go
//     only when they are registered at home: first that, then a resync.
//  5. Policy.Filter holds removals back.
//  6. Confirm before purge: what is merely missing from the snapshot is never
//     removed because of it. What is only written is handed out before, then
//     each such app is asked for by itself, the plan is made again, and what is
//     still merely missing (Marathon did not answer) is left as unconfirmed. What
//     was held back stays so.
//  7. Each worker gets the names of what changes for it, in the plan's order:
//     register, update, set, deregister, delete. A dead node's services go from
//     the catalog, unless Marathon still has tasks on it; that is the only case
//     in which anybody but an agent writes its services.
//  8. When each of these jobs was done or has failed once, the summary is logged.
//     The workers of those that failed go on by themselves.
//
// Resyncs are asked for by connects, gaps, the sync interval, polling while the
// stream is down or something is held back, unconfirmed or unread, a domain that is
// back, a changed credential, and what is said above; once one is due, it serves for
// all that were asked for.
// Reasons that a stream of bad events could repeat are limited to one per poll
// interval.
//
// # Workers
//
// A worker does one job at a time. A failure of its domain puts the job back and
// leaves the domain alone for a jittered, doubling pause of at most 30 s; jobs pile
// up in the queue's set, and ended tasks go first. An answer that Consul will not
// write this one thing (4xx) is no failure of the domain: the job is dropped, and
// a resync tries again after a minute. After a failed write an agent is listed anew, for
// the write may have happened, and everything that belongs there is looked at.
// When a domain is back, a resync finds what was to be removed there meanwhile.
//
// The registered services of an agent are remembered from its last listing and
// our writes since. A final state is sent to the agent even when that memory says
// that there is nothing to deregister: the memory may be wrong. So what somebody
// else registers under a task's own ID is left alone only if a listing showed it
// before the task's event came.
//
// While the stream is down and Marathon has not answered for longer than
// Policy.Confirm, and for a minute at least, nothing is registered: what we know may be long over.
//
// With Translation.Fallback the main agent is looked at like any host's. A plan may
// register there what belongs to an agent that there is no way to, if the catalog
// does not show it on that agent's node; an event never does. Each task event also
// lets the main agent's worker look whether the service is there and must go.
//
// # The guard
//
// Removals that rest on a look at Marathon alone (Missing, LabelGone, Away) are
// held back, all of them, when they would take more than Policy.Limit percent of
// our services, or of our keys, and we own more than ten of these; lost tasks also
// when they are more than that within a minute. The keys of a name that too many apps
// could have had are held back until time confirms them, for nobody can be asked. A name's
// losses are net: what the plan registers for it, or sets, makes up for what it
// removes. A removal once held back stays so until it is no longer planned, or is
// confirmed: by three looks at least that agree for Policy.Confirm. No time
// confirms removals that rest on a snapshot without a single app, or keys while
// services of our registration ID belong to another framework, or while the catalog,
// which would show those, cannot be read (then, keys of names without an app).
//
// What an event or an app's own 404 announced, and services that have moved, are
// never held back. Without Policy.Purge what is Missing is not removed at all.
//
// # What we put on others
//
// One write is in flight to each agent, one to the KV store and one to the
// catalog. An agent registers one service after the other whatever it is sent
// (Consul 1.22: 191 a second with one in flight, 192 with 32), so more would only
// wait there, in front of what is urgent. A resync lists each agent with two
// requests (the main agent, with fallback, with four), all agents at once, and the
// keys with one. Marathon has one stream,
// at most one snapshot, and at most readsAtOnce reads in flight for events and as
// many for a resync. Whoever answers 429 or 500 is left alone for a while, as
// one who does not answer is.
//
// An event's cost does not depend on the size of the cluster, but for the apps
// and tasks that it names.
//
// # Other than the first design
//
//   - Workers are handed names, not their share of the plan: it may be old when
//     they come to it, and so events and plans need only one way to write.
//   - Workers belong to hosts, for a host is known before its agent has said who
//     it is. Two hosts that are one agent share its node, and take turns.
//   - Desired answers for one thing at a time (Look, Labels), which is what a
//     worker asks, and the plan is made of the same answers.
//   - The policy has a memory, of what was held back since when. It is handed in
//     and out (HeldBack), so that the filter stays pure.
package reconcile
