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

// CommandFlags are a command's own options. Each has an environment variable of that
// command; one without the command's name, which several read, still works.
func CommandFlags(command string, flags ...Flag) []cli.Flag {
	var options []cli.Flag
	for _, f := range flags {
		name := f.Names()[0]
		options = append(options, &option{Flag: f, env: []string{envName(command + "-" + name)}, formerEnv: envName(name)})
	}
	return options
}

// Plain returns the library's own flags, for what tells them apart by their types, such as the
// completion of shells. Those that take a file say so.
func Plain(flags []cli.Flag) []cli.Flag {
	var plain []cli.Flag
	for _, f := range flags {
		o, ours := f.(*option)
		if !ours {
			plain = append(plain, f)
			continue
		}
		text, is := o.Flag.(*cli.StringFlag)
		if is && (strings.HasPrefix(text.Usage, "`file`") || strings.HasPrefix(text.Usage, "`path`") || strings.HasPrefix(text.Usage, "`FILE")) {
			file := *text
			file.TakesFile = true
			plain = append(plain, &file)
			continue
		}
		plain = append(plain, o.Flag)
	}
	return plain
}

func envName(name string) string {
	return "CONSULAR_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// option is a flag that may also be said in the environment. The library itself
// would look there before the command line: it would fail on what a flag
// overrules, and take an empty variable for a value.
type option struct {
	Flag
	// env are the variables; the first that is not empty counts. formerEnv, if any, comes
	// after them, and with a warning.
	env       []string
	formerEnv string
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
	for _, name := range append(slices.Clone(o.env), o.formerEnv) {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// source returns the variable that the value comes from, or "".
func (o *option) source() string {
	name, _ := o.variable()
	if o.overruled() {
		return ""
	}
	return name
}

// overruled reports whether the command line says something else.
func (o *option) overruled() bool {
	said := false
	o.line.Visit(func(f *flag.Flag) {
		said = said || f.Name == o.Names()[0] || slices.Contains(o.overruledBy, f.Name)
	})
	return said
}

// optionsOf returns those of the command, and the global ones.
func optionsOf(c *cli.Context) []*option {
	var options []*option
	for _, f := range append(slices.Clone(c.Command.Flags), c.App.Flags...) {
		// Those of the library itself, such as --help, are none.
		if o, ok := f.(*option); ok && o.line != nil {
			options = append(options, o)
		}
	}
	return options
}

// lookUp returns the option of a name, or nil.
func lookUp(c *cli.Context, name string) *option {
	for _, o := range optionsOf(c) {
		if o.Names()[0] == name {
			return o
		}
	}
	return nil
}

// blame names the variable where what an error is about was said in one: the option
// whose name it begins with, or which names the file in it.
func blame(c *cli.Context, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, o := range optionsOf(c) {
		name := o.Names()[0]
		rest, about := strings.CutPrefix(text, "--"+name)
		about = about && strings.IndexAny(rest, ": ") == 0 ||
			slices.Contains(fileOptions, name) && c.String(name) != "" && strings.Contains(text, " "+c.String(name)+":")
		if variable := o.source(); about && variable != "" {
			return fmt.Errorf("%s: %w", variable, err)
		}
	}
	return err
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
