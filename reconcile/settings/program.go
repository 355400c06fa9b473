package settings

import (
	"context"
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// Program is what every command works with: what it was given, all options, and the log.
type Program struct {
	*cli.Context
	Settings
	Log zerolog.Logger
}

// Format is how a command prints: for people, which has a name, or as JSON.
func (p Program) Format(people string) (string, error) {
	format := p.String("format")
	if format != people && format != "json" {
		return "", fmt.Errorf("--format %q: must be %s or json", format, people)
	}
	return format, nil
}

// Command is one that takes no arguments.
func Command(do func(context.Context, Program) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return UnexpectedArgument(c)
		}
		return withOptions(do)(c)
	}
}

// About is a command that is told one name.
func About(do func(context.Context, Program) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		switch name, more := c.Args().First(), c.Args().Get(1); {
		case name == "":
			return fmt.Errorf("%s: say of what: %s", c.Command.Name, c.Command.ArgsUsage)
		case strings.HasPrefix(more, "-"):
			return fmt.Errorf("%s %s: %.40q stands before the name", c.Command.Name, name, more)
		case c.NArg() > 1:
			return fmt.Errorf("%s takes one name: %.40q is a second one", c.Command.Name, more)
		}
		return withOptions(do)(c)
	}
}

// withOptions reads the options before a command, and opens the log.
func withOptions(do func(context.Context, Program) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		return blame(c, withLog(c.Context, c, func(log zerolog.Logger) error {
			s, err := Read(c, NoteRotation(log))
			if err != nil {
				return err
			}
			warn(c, log)
			return do(c.Context, Program{Context: c, Settings: s, Log: log})
		}))
	}
}
