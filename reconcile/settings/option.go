package settings

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Flag is any flag of the library that the help can show.
type Flag interface {
	cli.DocGenerationFlag
	cli.CategorizableFlag
}

// FromEnvironment gives flags the environment variables of their names.
func FromEnvironment(flags ...Flag) []cli.Flag {
	var options []cli.Flag
	for _, f := range flags {
		options = append(options, &option{Flag: f, env: []string{envName(f.Names()[0])}})
	}
	return options
}

func envName(name string) string {
	return "CONSULAR_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// option is a flag that may also be said in the environment. The library itself
// would look there before the command line: it would fail on what a flag
// overrules, and take an empty variable for a value.
type option struct {
	Flag
	// env are the variables; the first that is not empty counts.
	env []string
	// overruledBy are flags that say the same in another way.
	overruledBy []string
	line        *flag.FlagSet
}

// String is the option's line of the help.
func (o *option) String() string { return cli.FlagStringer(o) }

// GetEnvVars is for the help.
func (o *option) GetEnvVars() []string { return o.env }

// Apply makes the flag known to those of the command line.
func (o *option) Apply(line *flag.FlagSet) error {
	o.line = line
	return o.Flag.Apply(line)
}

// IsSet reports whether the environment counts. The library asks the command line itself.
func (o *option) IsSet() bool {
	_, value := o.variable()
	return value != "" && !o.overruled()
}

// RunAction takes the value from the environment. The library calls it when all
// flags have been read, of options that are set.
func (o *option) RunAction(*cli.Context) error {
	variable, value := o.variable()
	if value == "" || o.overruled() {
		return nil
	}
	// Past the flags, who still know then what was said on the command line.
	target := o.line.Lookup(o.Names()[0]).Value
	if err := target.Set(value); err != nil {
		if !o.TakesValue() {
			return fmt.Errorf("%s %q: must be true or false", variable, value)
		}
		return fmt.Errorf("%s %q: %w", variable, value, err)
	}
	return nil
}

func (o *option) variable() (name, value string) {
	for _, name := range o.env {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// overruled reports whether the command line says something else.
func (o *option) overruled() bool {
	said := false
	o.line.Visit(func(f *flag.Flag) {
		said = said || f.Name == o.Names()[0] || slices.Contains(o.overruledBy, f.Name)
	})
	return said
}

// enabled reads a pair of options, --name and --no-name. Where both are given, no is no.
func enabled(c *cli.Context, name string) bool {
	switch no := "no-" + name; {
	case !c.IsSet(no):
		return c.Bool(name)
	case !c.IsSet(name):
		return !c.Bool(no)
	default:
		return c.Bool(name) && !c.Bool(no)
	}
}
