// Package reconcile makes Consul what Marathon says it should be. It is the only
// package that knows both.
//
// # Three rooms
//
//	events, answers ──► reconcile/desired   what should be      pure
//	Consul's lists ───► reconcile/plan      what differs, and   pure
//	                                        what may be done
//	                    reconcile           when, and doing it  queues, workers, resyncs
//
// Imports go one way: desired ← plan ← reconcile. Deciding is pure: no context, no log,
// no clock, no lock; the same input gives the same plan, byte for byte. Everything with
// one of these is here. Beside them, settings has main's options, daemon the command run
// with what stands around it (metrics, heartbeat), and demo the command of that name: they
// belong to main, and stand below reconcile only because the top level of the repository is fixed.
//
//	config.go      how a Reconciler works, and what it writes to
//	reconciler.go  Run, and how the parts are wired
//	handler.go     the stream's handler: the model changes, and jobs are enqueued
//	resync.go      one resync; schedule.go: when the next is due
//	dispatch.go    the jobs of a resync's plan, and who gets which when
//	beside.go      what a resync asks of Marathon while it goes on
//	questions.go   what events ask of Marathon: what waits; reads.go: the asking
//	list.go        all of Consul listed; nodes.go: what the catalog knows
//	fleet.go       the agents, one worker for each host; node.go: what is registered there
//	job.go         what a worker is to bring in line; queue.go: what of it waits
//	worker.go      a worker's loop, and its backoff; outage.go: while its domain does not answer
//	agent_worker.go, key_worker.go, catalog_worker.go   what a worker does with one job;
//	               agent_home.go: whether it belongs there; agent_checks.go: with checks;
//	               node_checks.go: what is remembered of them; agent_list.go: how an agent is listed;
//	               agent_watch.go: that it has restarted
//	token.go       with which token services are registered, and which the catalog lacks
//	starts.go      what is about to be registered, and who waits for that
//	health.go      what is asked of Marathon for health alone, and tasks that turn critical
//	gate.go        whether anything may be written; gated.go: Consul behind it
//	takeover.go    what happens when nothing may, and when it may again
//	state.go       what is known at one moment
//	tally.go, summary.go   what came of a resync's jobs; sync.go: one resync and its end
//	notice.go      what the operator is told, one type for the log and other listeners
//	report.go      of that, what is told beside writes: each thing once, or now and then
//	explain.go     why something is there or not, for the command explain
//	remove.go      a Marathon without apps, for the command remove
//
// # Flow
//
//	an event                              a resync is due (schedule)
//	  Reconciler.Event                      GET /v2/info, GET /v2/apps
//	  lock, Model.ApplyEvent                Model.ApplySnapshot, app by app
//	  Effects: names of things              all agents and all keys are listed
//	    tasks    names    apps to read      plan.Make, agent by agent
//	      |        |          |             Guard.Filter
//	      |        |      readApps          assignments: names of things
//	      |        |      Model.ApplyApp       |           apps to confirm
//	      |        |      Effects              |               |
//	      v        v          v                v               v
//	    a queue for each host, the KV store and the catalog: each thing once
//	  ------------------ goroutine boundary: nothing above waits ------------------
//	    the worker asks the model what should be NOW,
//	    compares it with what is there (plan.Decide, plan.DiffKeys), and writes
//
// There is one write path. An event never writes, and neither does a plan: both
// enqueue jobs. A job names one task, with all of its services, or one name, with all of
// its keys; it says on what grounds something may be removed, and never what happened.
// What was overtaken while it waited is therefore not done. A task event of a known app
// costs one write to one agent, with no listing and no request to Marathon; where the
// app has labels, a read of its keys; and where it has checks, a second write that makes
// the status of a new one outlive the agent's restart.
//
// A job's grounds bound it: a worker removes only on grounds that the job allows. So an
// event deregisters what has ended, and never what a snapshot merely lacks; that is for a
// plan, whose guard sees the whole cluster.
//
// Locks: Reconciler.mu guards the model, and is held for no I/O and never for longer than
// one agent's comparison. A node's mutex guards what is known to be registered there, and is
// held during a write. So is the KV store's, which a resync takes to list the keys: what
// is read beside a write in flight shows neither what was nor what will be.
//
// # The event table
//
// Enqueued is what workers bring in line, read is what is asked of Marathon. Before the
// first snapshot nothing is enqueued: ended tasks are remembered; apps to read are read
// after that snapshot, unless it was asked for after the event; the rest is dropped.
//
//	event                   in the model                      enqueued       read
//	status_update_event
//	  RUNNING, app known    the task runs, with the event's   the task,      the app, if the task's
//	                        addresses, ports and version      its app's      version is not known, or
//	                                                          labels         no address or port is
//	  RUNNING, app unknown  -                                 -              the app
//	  KILLING and all       tombstone, the task is dropped    the task, and  the app, if an earlier
//	  final states                                            always         task had the same ID
//	                                                          written
//	  LOST, UNREACHABLE,    the task is lost; its addresses   the task, if   -
//	  UNKNOWN, app known    stay known                        the guard lets
//	                                                          it go
//	  the same, app unknown -                                 -              the app
//	  any but final, of an  -                                 -              the app: the same ID
//	  ended task                                                             may live again
//	  STAGING, STARTING,    -                                 -              -
//	  CREATED, any other
//	deployment_info         the plan's apps, by its version;  -              -
//	                        apps that it stops are marked, of
//	                        its others the mark is taken; an
//	                        ID that was no app may be one now;
//	                        its pods are known to be no apps
//	deployment_success      the plan's apps, by its version   -              the plan's apps
//	deployment_failed       the same; the mark is taken; its  -              the plan's apps
//	                        apps may be taken back by a
//	                        change that names none
//	group_change_success    -                                 -              the apps of the plan of
//	                                                                         its version; if it names
//	                                                                         none, those of failed
//	                                                                         deployments; a resync if
//	                                                                         no such plan was heard
//	app_terminated_event    a known app is marked as stopped  -              that app, if known
//	health_status_changed_event, of a task that has checks in Consul
//	  of its only check,    the verdict on the task           the task       -
//	  and of its launch
//	  any other, but for    the verdict is in doubt           -              the app, a second after
//	  what says the same                                                     the last read at the soonest
//	  of none that runs     -                                 -              the same
//	instance_health_changed_event, of such a task
//	  true, false, and the  the verdict is in doubt           -              the app a second later, if
//	  verdict is another                                                     it is still in doubt
//	  null, or the verdict  -                                 -              -
//	event_stream_attached   -                                 -              -
//	a gap                   no app is marked any more         -              - (a resync)
//	any other               not subscribed to by run
//
// A task event whose app is known to be none (a pod's container, a late event of
// a deleted app) changes nothing, until a deployment names the ID or a resync
// doubts it: then it costs one read. A final state leaves a tombstone all the same,
// and is enqueued if the ID ever was an app's. A state that Mesos should not know is logged
// once; a task that REST tells in one is left as it is.
//
// And what answers do:
//
//	answer                  in the model                      enqueued       read
//	GET /v2/apps/{id}       app and tasks are what it says,   tasks that are the app again, if events
//	                        events since are replayed; one    or were in it, contradict it; versions
//	                        that was asked for after a        and the keys,  that tasks run and that
//	                        task's end and has it as RUNNING  if labels      are not known
//	                        begins a new life of its ID       changed
//	  404                   the app and its tasks are         the same, and  -
//	                        dropped, the ID is no app; a      the tasks of
//	                        clash of names may end            the app left
//	                                                          of a clash
//	GET …/versions/{v}      that version's definition; 404:   its tasks      -
//	                        what is registered stays
//	GET /v2/apps            all of the above at once; tasks   - (the plan    apps with events that it
//	                        of apps that it omits, old        compares)      could not know; versions
//	                        tombstones and unused
//	                        definitions are dropped; IDs
//	                        that are no apps are doubted;
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
// # What may be removed
//
// What announces an end: an event about the task itself, the 404 of its app, a plan that
// stops its app and that nothing heard later takes back, and an answer that lists as many
// tasks in service as the app's instances asks for. Everything else that an answer omits,
// and tasks that are lost, rest on a look at Marathon alone: a Marathon that has lost its
// task state, or whose agents are behind a partition, says the same. These removals pass
// plan.Guard, whether a plan wants them (Filter) or an event and an app's answer (Allow).
// So do checks that turn critical, for a Marathon that is cut off from its tasks finds them all
// dead: beyond that share of the services that have checks, the first ones are believed
// (AllowCritical). For removals it has one memory: beyond Policy.Limit percent of what we own, counted with what went so
// within the last minute, they are held back, and stay so whatever names them again, until
// they are announced, not wanted any more, or three resyncs at least have agreed for
// Policy.Confirm. A task that runs again (Returned) is a new one to that memory. The worker
// asks it about each key that it is to remove, for a job names all of a name's keys. No time
// confirms removals that rest on a snapshot without a single app, what an option excludes, or
// keys that may be another Marathon's.
//
// What is merely missing from the snapshot needs its app's own answer besides. An app that
// a snapshot omits keeps its name and its keys until Marathon's 404; where another one wants
// the name it is asked about, be it that nothing of it is in Consul. Nobody can be asked
// about keys whose name no known app has, or a service that names no app: time confirms
// them.
//
// While services of our registration ID name another framework, no key is removed. That
// is one fact in the model (desired.Another), which only a resync that has read everything
// clears, and before the first such resync no event removes a key.
//
// # A resync, in order
//
//  1. GET /v2/info (which framework) and GET /v2/apps. An error ends the resync:
//     nothing is removed, and the next try is paced.
//  2. The model takes the snapshot in. The definitions of versions that tasks run and that
//     are not their app's own are read beside it: a task whose definition is not known is
//     left as it is, and brought in line when the definition is there.
//  3. All agents of hosts that are named, by the model or by a worker that is
//     still there, and all keys are listed at once.
//     - An agent has Config.Patience; one in its backoff is not asked. What could
//     not be read completely is left out of the plan: nothing is removed there. Of very many
//     agents those that take longer than a moment are listed last, so that black holes
//     keep nobody waiting.
//     - If an agent is silent, the catalog tells whether its node is dead. At the
//     first resync, at every tenth, and when keys of ours belong to no app, it also
//     names the other nodes that have services of ours; those are asked themselves.
//     A node at whose address another agent answers has no worker, and so is looked
//     for at every resync until nothing of ours is left there.
//     - Workers of hosts that nobody names and that have nothing of ours are
//     retired; that of a silent agent only when Consul has forgotten its node
//     (reapTime).
//     - When all this takes longer than a second (grace), what is to be written
//     where something has been listed is given out, agent by agent (plan.MakeOf).
//     Removals wait for all of it.
//  4. Names that clash get their incumbents; plan.Make compares each service and each
//     key. Services at the wrong agent go only when they are registered at home: first
//     that, then a resync.
//  5. The guard holds removals back.
//  6. Each worker gets the names of what changes for it, in the plan's order: register,
//     update, set, deregister, delete. A dead node's services go from the catalog, unless
//     Marathon still has tasks on it; that is the only case in which anybody but an agent
//     writes its services.
//  7. Beside that, each app of what is merely missing is asked for by itself, and its jobs
//     are given out when its answer is there; on what grounds something goes is decided then.
//     Without an answer it stays.
//  8. When each of these jobs was done or has failed once, the summary is logged.
//     The workers of those that failed go on by themselves.
//
// Resyncs are asked for by connects, gaps, the sync interval, polling while the
// stream is down or something is held back, unconfirmed or unread, an agent that a resync has
// left out and that is back, with fallback one that there is no way to any more, a changed
// credential, and what is said above; of several intervals the shortest counts, and once one
// is due, it serves for all that were asked for. Reasons that a stream of bad events could
// repeat are limited to one per poll interval.
//
// # Workers
//
// A worker does one job at a time; ended tasks go first, and those that have recovered. One exception: what is being killed
// (TASK_KILLING) still serves, and stays registered while other tasks of its app that were heard of
// earlier are about to be registered, or to pass, a second at most from the kill on (plan.WaitsUntil).
// Else the two agents would decide whether an app of one task is in Consul at every moment of
// a rolling upgrade. That a task has become ready, or has passed the last of several checks,
// no event tells: a kill in its app has that asked, and the question counts as one of those until it
// is answered. The job is put off, and no worker waits: each of those registrations that ends,
// be it in failure, has it looked at again (starts). What has ended waits for nothing, nor does anything
// wait for an agent that is left alone. A resync's jobs keep to the same.
//
// What comes of a job decides who waits:
//
//   - Consul answers that it will not write this one thing (4xx), or that it could not (5xx):
//     the job waits by itself, a minute, or longer each time, up to 30 s. Nothing else waits,
//     and resyncs go on listing the agent and count the job as failed. Only news of the task
//     ends its wait. When it is done at last, and the last resync left something for that,
//     another one is made.
//   - The domain does not answer (no connection, no answer in time, a listing that fails, 429,
//     503, no leader): it is left alone for a jittered, doubling pause of at most 30 s. Jobs
//     pile up, and the next one is tried first, for the one that had no answer may be the
//     reason. A resync leaves the agent out, and another one is made when it is back.
//   - Five different jobs could not be done, and nothing was written between them: the domain
//     is left alone as if it did not answer, but is listed.
//
// After a failed write, what is there of the task is not known until the agent was listed, for
// the write may have happened; after an outage nothing is known of the agent, and everything
// that belongs there is enqueued.
//
// An agent that takes longer to be listed than a resync waits is no outage: its worker ends
// the listing, and the next resync waits longer, up to three times Config.Patience.
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
// With Config.Fallback the main agent is listed like any host's. A plan may
// register there what belongs to an agent that there is no way to, if the catalog
// does not show it on that agent's node; an event never does. Each task event also
// lets the main agent's worker look whether the service is there and must go.
//
// # Whether anything may be written
//
// Consul is behind one gate (Config.Permit, the lock of --ha): every write asks it, and is given
// up when it closes. While it is closed, events and answers change the model as ever, what they
// enqueue is dropped, and a resync reads Marathon alone. When it opens (Opened), others may
// have written: a new term begins. The next resync takes Marathon's snapshot in and
// then forgets all that was known of Consul: what agents have, who keeps a name, another Marathon,
// and the guard's memory, for what was lost meanwhile is one set now. From then on the term's jobs
// are done; those of an earlier one are dropped, for what was allowed then was judged
// by what was known then. 30 s later there is another resync, for a write that was under way.
//
// # What we put on others
//
// One write is in flight to each agent, one to the KV store and one to the
// catalog. An agent registers one service after the other whatever it is sent
// (Consul 1.22: 191 a second with one in flight, 192 with 32), so more would only
// wait there, in front of what is urgent. A resync lists each agent with two
// requests (the main agent, with fallback, with four), and one more where some app has checks,
// all agents at once, and the keys with one. Marathon has one stream,
// at most one snapshot, and at most readsAtOnce reads in flight for events and as
// many for resyncs. Whoever answers 429 or 503, or nothing but errors, is left alone for a
// while, as one who does not answer is.
//
// An event's cost does not depend on the size of the cluster, but for the apps
// and tasks that it names.
//
// # Other than the first design
//
//   - Workers are handed names, not their share of the plan: it may be old when
//     they come to it, and so events and plans need only one way to write.
//   - Workers belong to hosts, for a host is known before its agent has said who
//     it is. Two hosts that are one agent share its node.
//   - The model answers for one thing at a time (Want, WantKeys), which is what a
//     worker asks, and the plan is made of the same answers.
package reconcile
