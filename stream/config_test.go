package stream

import (
	"strings"
	"testing"
	"time"
)

func TestConfigCheckNamesTheOption(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"--marathon: no URL", func(c *Config) { c.URLs = nil }},
		{"--marathon //one.test:8080: must begin with http", func(c *Config) { c.URLs = parse(t, "//joe:s3cret@one.test:8080") }},
		{"--marathon ftp://one.test: must begin with http", func(c *Config) { c.URLs = parse(t, "ftp://joe:s3cret@one.test") }},
		{"--marathon http:///path: has no host", func(c *Config) { c.URLs = parse(t, "http:///path") }},
		{"--marathon http://one.test/: must end with its path", func(c *Config) { c.URLs = parse(t, one+",http://one.test/?token=s3cret") }},
		{"--idle-timeout 0s: ", func(c *Config) { c.IdleTimeout = 0 }},
		{"--timeout -1s: ", func(c *Config) { c.Timeout = -time.Second }},
		{"--max-event 0: ", func(c *Config) { c.MaxEvent = 0 }},
	} {
		config := Config{URLs: parse(t, one+","+two), IdleTimeout: time.Minute, Timeout: time.Second, MaxEvent: 1}
		if err := config.Check(); err != nil {
			t.Fatalf("the good one: %v", err)
		}
		c.change(&config)
		_, err := New(config, &ear{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("error %v shows a secret", err)
		}
	}
}

func TestClip(t *testing.T) {
	if got := clip("short"); got != "short" {
		t.Errorf("clip made %q of a short text", got)
	}
	if got := clip(strings.Repeat("ä", 300) + "x"); len(got) > clipSize+len("…") || strings.ContainsRune(got, '�') {
		t.Errorf("clip made %q of a long one", got)
	}
	if got := clip(strings.Repeat("x", 199) + "ä"); strings.ContainsRune(got, '\xc3') || len(got) > 210 {
		t.Errorf("clip cut a letter in two: %q", got)
	}
}
