package settings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// UsageError makes one line of what the library says of a command line, which prints
// its whole help and options with one dash. It is for OnUsageError.
func UsageError(c *cli.Context, err error, _ bool) error {
	if name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); unknown {
		return unknownOption(c, strings.TrimPrefix(name, "-"))
	}
	return errors.New(strings.NewReplacer(
		"for flag -", "for --", "for -", "for --", "argument: -", "argument: --", ": parse error", ": must be true or false",
	).Replace(err.Error()))
}

// unknownOption says where an option belongs that is in the wrong place.
func unknownOption(c *cli.Context, name string) error {
	for _, f := range c.App.Flags {
		if f.Names()[0] == name {
			return fmt.Errorf("--%s stands before the command: consular --%s … %s", name, name, c.Command.Name)
		}
	}
	var owners []string
	for _, command := range c.App.Commands {
		for _, f := range command.Flags {
			if f.Names()[0] == name {
				owners = append(owners, command.Name)
			}
		}
	}
	if len(owners) > 0 {
		return fmt.Errorf("--%s stands after its command: consular … %s --%s", name, strings.Join(owners, "|"), name)
	}
	return fmt.Errorf("unknown option --%s", name)
}

// UnexpectedArgument says what is wrong with the words that are left of a command line.
func UnexpectedArgument(c *cli.Context) error {
	word := c.Args().First()
	if _, err := strconv.ParseBool(word); err == nil {
		for _, name := range c.LocalFlagNames() {
			if o := lookUp(c, name); o != nil && !o.TakesValue() {
				return fmt.Errorf("--%s takes no arguments: say --%s=%s", name, name, word)
			}
		}
	}
	if c.App.Command(c.Command.Name) == nil {
		return fmt.Errorf("unknown command %q: see consular --help", word)
	}
	return fmt.Errorf("%s takes no arguments: %q", c.Command.Name, word)
}
