package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
	"consular/reconcile/desired"
	"consular/reconcile/plan"
)

// What the operator is told beside what is written: each thing once, or now and then.

// everyTenth reports whether the nth in a row of the same is told of: the first, and
// then every tenth.
func everyTenth(n int) bool { return n == 1 || n%10 == 0 }

// firstTime reports whether a message has not been told yet, as far as that is remembered.
func (r *Reconciler) firstTime(message string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, told := r.logged[message]
	r.logged[message] = time.Now()
	return !told
}

// forgetLogged forgets what there was no cause to tell again for at least an hour, and since
// the resync before this one: what is remembered is bounded by what there is.
func (r *Reconciler) forgetLogged(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hourAgo := now.Add(-time.Hour)
	maps.DeleteFunc(r.logged, func(_ string, last time.Time) bool {
		return last.Before(hourAgo) && last.Before(r.lastResync)
	})
	r.lastResync = now
}

// tellPorts says once per app version that ports of an app are no services, though no
// label says so.
func (r *Reconciler) tellPorts(app marathon.App) {
	n := len(app.Definition.Ports)
	if n < 2 {
		return
	}
	var omitted int
	r.locked(func() { omitted = r.model.Omitted(app.ID) })
	if omitted > 0 && r.firstTime("ports of "+app.ID+" "+cmp.Or(app.LastConfigChangeAt, app.Version)) {
		r.config.tell(Notice{
			Level: zerolog.InfoLevel, Message: "the app has several ports, and not all are services: --ports, or a label, makes services of more",
			App: app.ID, Ports: n,
		})
	}
}

// tellTrouble says once for each definition of an app what is wrong with its labels, also what
// shows only when it has tasks.
func (r *Reconciler) tellTrouble(t desired.Trouble) {
	for _, problem := range t.Problems {
		if !r.firstTime("trouble of " + t.App + " " + t.Definition + problem) {
			continue
		}
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: plan.Unfit{App: t.App, Definition: t.Definition, Err: problem}.String(),
			App: t.App, Version: t.Definition,
		})
	}
}

// tellPlan says what the operator has to know of a plan: each thing once.
func (r *Reconciler) tellPlan(p *plan.Plan) {
	defer r.forgetLogged(time.Now())
	for _, c := range p.Conflicts {
		if r.firstTime("conflict " + c.Agent + c.ID + c.Key + c.Why) {
			r.config.tell(Notice{
				Level: zerolog.WarnLevel, Message: "conflict, left alone: " + c.Why,
				Agent: c.Agent, Task: c.Task, Service: c.Service, ID: c.ID, PortName: c.Port, Key: single(c.Key),
			})
		}
	}
	for _, c := range p.Clashes {
		r.tellClash(c)
	}
	var troubles []desired.Trouble
	r.locked(func() { troubles = r.model.Troubles() })
	for _, t := range troubles {
		r.tellTrouble(t)
	}
	for _, u := range p.Unfit {
		if u.Definition == "" {
			r.leaveOut(u)
		}
	}
	for _, u := range slices.SortedFunc(maps.Keys(p.MirroredInstead), func(a, b plan.Unfit) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Definition, b.Definition))
	}) {
		if r.firstTime("mirrored " + u.App + " " + u.Definition + u.Err) {
			r.config.tell(Notice{
				Level: zerolog.WarnLevel, Message: "its checks cannot be made by Consul's agents: Marathon's verdict is mirrored instead",
				App: u.App, Version: u.Definition, Why: u.Err,
			})
		}
	}
	r.tellUnread(p)
	r.tellHeld(p)
	for _, key := range p.UnownedKeys {
		if r.firstTime("unowned " + key) {
			r.config.tell(Notice{
				Level: zerolog.InfoLevel, Message: "a key below the prefix that nobody owns and no app wants: left alone",
				Key: []string{key}, Keys: p.Unowned,
			})
		}
	}
	if others := strings.Join(p.Frameworks, ", "); others != "" && r.firstTime("framework "+others) {
		r.config.tell(Notice{
			Level: zerolog.ErrorLevel, Message: "services of this registration ID belong to another Marathon framework: left alone, and no key is removed; `consular sync --force` removes both",
			Framework: p.Framework, Others: others, Foreign: p.ForeignFramework,
		})
	}
}

// single is a list of one text, or of none.
func single(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// leaveOut says once what cannot be in Consul.
func (r *Reconciler) leaveOut(u plan.Unfit) {
	if r.firstTime(u.String()) {
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: u.String(),
			App: u.App, Task: u.Task, Err: errors.New(u.Err),
		})
	}
}

// tellClash says who goes on and who does not, once for each such state of a name.
func (r *Reconciler) tellClash(c desired.Clash) {
	if r.firstTime(fmt.Sprint("clash ", c)) {
		r.config.tell(Notice{
			Level: zerolog.ErrorLevel, Message: clashMessage(c),
			Service: c.Name, App: strings.Join(c.Apps, ", "), GoesOn: c.Incumbent, Why: plan.ClashWhy(c),
		})
	}
}

// clashMessage says what waits because of a clash.
func clashMessage(c desired.Clash) string {
	switch {
	case c.KeysOnly:
		return "name clash: the keys of the others wait"
	case len(c.Ports) > 0:
		return "name clash: the service of that name of the others waits"
	}
	return "name clash: the others are quarantined"
}

// tellUnread says which parts of Consul could not be read, and what that means:
// first, every tenth time, and when it is over. Agents have workers that say so.
func (r *Reconciler) tellUnread(p *plan.Plan) {
	for _, what := range []string{plan.UnreadKeys, plan.UnreadCatalog} {
		at := slices.IndexFunc(p.Unread, func(u plan.Unread) bool { return u.What == what })
		times := r.unreadResyncs[what]
		switch {
		case at >= 0:
			times++
			if everyTenth(times) {
				r.config.tell(Notice{
					Level: zerolog.ErrorLevel, Message: "cannot be read: nothing is removed there",
					What: what, Err: errors.New(p.Unread[at].Err), Attempt: times,
				})
			}
		case times > 0:
			r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "can be read again", What: what, Attempt: times + 1})
			times = 0
		}
		r.unreadResyncs[what] = times
	}
	for _, agent := range p.Skipped {
		if r.firstTime("skipped " + agent) {
			r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "skipped: Consul has its node as failed", Agent: agent})
		}
	}
}

// tellHeld says what is held back: first, every tenth time, when the reasons
// change, and when it is over.
func (r *Reconciler) tellHeld(p *plan.Plan) {
	why := strings.Join(p.HeldWhy, "; ")
	r.mu.Lock()
	if why != r.heldWhy {
		r.heldResyncs = 0
	}
	before := r.heldWhy
	r.heldWhy = why
	r.heldResyncs++
	times := r.heldResyncs
	r.mu.Unlock()
	level := zerolog.DebugLevel
	if everyTenth(times) {
		level = zerolog.ErrorLevel
	}
	switch {
	case len(p.Held) > 0:
		message := "removals are held back: " + wayOut(p)
		if !slices.ContainsFunc(p.Held, plan.Change.Removes) {
			message = turnsHeld
		}
		r.config.tell(Notice{Level: level, Message: message, Held: len(p.Held), Why: why, Attempt: times})
	case before != "":
		r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "nothing is held back any more"})
	}
}

// wayOut says what becomes of held removals.
func wayOut(p *plan.Plan) string {
	if p.Confirmable() {
		return "they go when every resync for --purge-confirm would remove them; see `consular plan`, and `consular sync --force` if they should go"
	}
	return "time will not confirm them; see `consular plan`, and `consular sync --force` if they should go"
}

// tellUnconfirmed says that apps could not be asked for: at the first resync of a row, at every
// tenth, and when it is over.
func (r *Reconciler) tellUnconfirmed(o outcome) {
	r.mu.Lock()
	before := r.unconfirmedResyncs
	switch {
	case o.unconfirmedErr != nil:
		r.unconfirmedResyncs++
	case o.unconfirmed == 0:
		r.unconfirmedResyncs = 0
	}
	times := r.unconfirmedResyncs
	r.mu.Unlock()
	switch {
	case times > before && everyTenth(times):
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: "cannot confirm: what is missing from the snapshot stays for now",
			Held: o.unconfirmed, Err: o.unconfirmedErr, Attempt: times,
		})
	case times < before:
		r.config.tell(Notice{Level: zerolog.InfoLevel, Message: "nothing waits to be confirmed any more", Attempt: before + 1})
	}
}

// tellForbidden says once that Marathon does not say which framework it is.
func (r *Reconciler) tellForbidden(err error) {
	if r.firstTime("info " + err.Error()) {
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Err: err,
			Message: "Marathon's framework ID may not be read: services do not carry it, and another Marathon with this registration ID is not noticed",
		})
	}
}

// tellSnapshot tells of what a snapshot holds that is not plain.
func (r *Reconciler) tellSnapshot(s marathon.Snapshot) {
	for _, u := range s.Unreadable {
		if r.firstTime("unreadable " + u.ID + u.Err.Error()) {
			r.config.tell(Notice{Level: zerolog.ErrorLevel, Message: "cannot decode the app: left as it is", App: u.ID, Err: u.Err})
		}
	}
	for i := range s.Apps {
		r.tellPorts(s.Apps[i])
		r.tellProblems(s.Apps[i])
	}
}

// tellProblems says once per app version what of an answer about the app was not understood.
func (r *Reconciler) tellProblems(app marathon.App) {
	if len(app.Problems) > 0 && r.firstTime("problems of "+app.ID+" "+app.Version) {
		r.config.tell(Notice{
			Level: zerolog.WarnLevel, Message: "not all that Marathon says of the app is understood: that is left out",
			App: app.ID, Version: app.Version, Why: strings.Join(app.Problems, "; "),
		})
	}
}

// refused tells of a write that Consul will not do.
func (r *Reconciler) refused(w *worker, j job, err error) {
	n := w.about(j)
	n.Level, n.Message, n.Err = zerolog.DebugLevel, "write refused", err
	if r.firstTime(err.Error()) {
		n.Level = zerolog.ErrorLevel
	}
	r.config.tell(n)
}
