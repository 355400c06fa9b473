package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"consular/marathon"
)

// What the log tells beside what is written: each thing once, or now and then.

// loud reports whether the nth in a row of the same is told of.
func loud(n int) bool { return n == 1 || n%10 == 0 }

// once reports whether a message has not been logged yet.
func (r *Reconciler) once(message string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.said) > maxSaid {
		clear(r.said)
	}
	first := !r.said[message]
	r.said[message] = true
	return first
}

// maxSaid bounds the memory of one-time messages.
const maxSaid = 10_000

// notePorts says once per app version that an app has several ports.
func (r *Reconciler) notePorts(app marathon.App) {
	if n := len(app.Definition.Ports); n > 1 && r.once("ports of "+app.ID+" "+app.Version) {
		r.config.Log.Info().Str("app", app.ID).Int("ports", n).
			Msg("the app has several ports: its services have the first one that it declares")
	}
}

// tell logs what the operator has to know of a plan: each thing once.
func (r *Reconciler) tell(p *Plan) {
	for _, c := range p.Conflicts {
		if r.once("conflict " + c.Agent + c.Task + c.Key + c.Why) {
			r.config.Log.Warn().Str("agent", c.Agent).Str("task", c.Task).Str("service", c.Service).
				Str("key", c.Key).Msg("conflict, left alone: " + c.Why)
		}
	}
	for _, c := range p.Clashes {
		r.tellClash(c)
	}
	for _, u := range p.Unfit {
		r.leaveOut(u)
	}
	r.tellUnread(p)
	r.tellHeld(p)
	if p.Unowned > 0 && r.once(fmt.Sprint("unowned ", p.Unowned)) {
		r.config.Log.Info().Int("keys", p.Unowned).
			Msg("keys below the prefix that nobody owns and no app wants: left alone")
	}
}

// leaveOut says once what cannot be in Consul.
func (r *Reconciler) leaveOut(u Unfit) {
	if r.once(u.String()) {
		r.config.Log.Warn().Str("app", u.App).Str("task", u.Task).Str("error", u.Err).Msg("left out: " + u.String())
	}
}

// tellClash says who goes on and who does not, once for each such state of a name.
func (r *Reconciler) tellClash(c Clash) {
	if r.once(fmt.Sprint("clash ", c)) {
		r.config.Log.Error().Str("service", c.Name).Str("app", strings.Join(c.Apps, ", ")).Str("goes_on", c.Incumbent).
			Msg("name clash: the others are quarantined")
	}
}

// tellUnread says which parts of Consul could not be read, and what that means:
// first, every tenth time, and when it is over. Agents have workers that say so.
func (r *Reconciler) tellUnread(p *Plan) {
	for _, what := range []string{unreadKeys, unreadCatalog} {
		at := slices.IndexFunc(p.Unread, func(u Unread) bool { return u.What == what })
		looks := r.unreadLooks[what]
		switch {
		case at >= 0:
			looks++
			if loud(looks) {
				r.config.Log.Error().Str("what", what).Str("error", p.Unread[at].Err).Int("attempt", looks).
					Msg("cannot be read: nothing is removed there")
			}
		case looks > 0:
			r.config.Log.Info().Str("what", what).Int("attempt", looks+1).Msg("can be read again")
			looks = 0
		}
		r.unreadLooks[what] = looks
	}
	for _, agent := range p.Skipped {
		if r.once("skipped " + agent) {
			r.config.Log.Info().Str("agent", agent).Msg("skipped: Consul has its node as failed")
		}
	}
}

// tellHeld says what is held back: first, every tenth time, when the reasons
// change, and when it is over.
func (r *Reconciler) tellHeld(p *Plan) {
	why := strings.Join(p.HeldWhy, "; ")
	r.mu.Lock()
	if why != r.heldWhy {
		r.heldLooks = 0
	}
	before := r.heldWhy
	r.heldWhy = why
	r.heldLooks++
	looks := r.heldLooks
	r.mu.Unlock()
	level := zerolog.DebugLevel
	if loud(looks) {
		level = zerolog.ErrorLevel
	}
	switch {
	case len(p.Held) > 0:
		r.config.Log.WithLevel(level).Int("held_back", len(p.Held)).Str("why", why).Int("attempt", looks).
			Msg("removals are held back: " + p.wayOut())
	case before != "":
		r.config.Log.Info().Msg("nothing is held back any more")
	}
}

// wayOut says what becomes of held removals.
func (p *Plan) wayOut() string {
	if p.confirmable {
		return "they go when every look for --purge-confirm would remove them; see `consular plan`, and `consular sync --force` if they should go"
	}
	return "time will not confirm them; see `consular plan`, and `consular sync --force` if they should go"
}

// noteSnapshot tells of what a snapshot holds that is not plain.
func (r *Reconciler) noteSnapshot(s marathon.Snapshot) {
	for _, u := range s.Unreadable {
		if r.once("unreadable " + u.ID + u.Err.Error()) {
			r.config.Log.Error().Err(u.Err).Str("app", u.ID).Msg("cannot decode the app: left as it is")
		}
	}
	for i := range s.Apps {
		r.notePorts(s.Apps[i])
	}
}

// refusedAgain is how long after a refusal it is tried again: permissions change.
const refusedAgain = time.Minute

// refused tells of a write that Consul will not do; a resync tries again.
func (r *Reconciler) refused(w *worker, j job, err error) {
	r.agenda.ask("refused", time.Now().Add(refusedAgain))
	line := w.log.Debug()
	if r.once(err.Error()) {
		line = w.log.Error()
	}
	line.Err(err).Str("app", j.app).Str(w.subject, j.key).Str("cause", j.name).Msg("write refused")
}
