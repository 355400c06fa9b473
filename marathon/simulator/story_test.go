package simulator_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"consular/marathon/simulator"
)

// told runs the story for a while, in time that is not real.
func told(t *testing.T, seed uint64, d time.Duration) (acts []string, m *simulator.Marathon) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m = simulator.New(simulator.Config{Seed: seed, TaskKilling: true, Pace: simulator.HumanPace()})
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		ran := make(chan error)
		go func() { ran <- m.Run(ctx) }()
		story := simulator.Story{Tell: func(act string) { acts = append(acts, act) }}
		must(t, story.Run(ctx, m))
		must(t, <-ran)
	})
	return acts, m
}

func TestStoryShowsEveryKindOfAct(t *testing.T) {
	acts, m := told(t, 7, 10*time.Minute)
	for _, kind := range []string{"create", "destroy", "scale", "label", "restart", "crash", "lose"} {
		if !slices.ContainsFunc(acts, func(act string) bool { return strings.HasPrefix(act, kind+" ") }) {
			t.Errorf("in ten minutes no act was %s", kind)
		}
	}
	networks := map[simulator.Network]bool{}
	for _, app := range m.Apps() {
		networks[app.Network] = true
	}
	if len(m.Apps()) < 9 || len(networks) != 3 {
		t.Errorf("%d apps in %d network modes, want a dozen in 3", len(m.Apps()), len(networks))
	}
}

func TestStoryFollowsFromItsSeed(t *testing.T) {
	one, _ := told(t, 1, 3*time.Minute)
	again, _ := told(t, 1, 3*time.Minute)
	other, _ := told(t, 2, 3*time.Minute)
	if !slices.Equal(one, again) {
		t.Error("one seed told two stories")
	}
	if slices.Equal(one, other) {
		t.Error("two seeds told one story")
	}
}
