// Package manual makes of the command line what packages ship beside the program: a man page and
// the completions of shells.
package manual

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"consular/reconcile/settings"
)

// section is that of commands for administrators.
const section = 8

var (
	//go:embed completion.bash
	bash string
	//go:embed completion.zsh
	zsh string
	//go:embed man.md
	page string
)

// AddTo makes an application answer the shells' questions what may come next, and adds a command that
// prints what packages ship: hidden, for they alone need it.
func AddTo(app *cli.App) {
	app.Commands = append(app.Commands, &cli.Command{
		Name: "generate", Hidden: true,
		Usage: "print what comes with the program", ArgsUsage: strings.Join(kinds, "|"), Action: generate,
	})
	app.EnableBashCompletion = true
	app.BashComplete = func(c *cli.Context) { // the library's own also tells what the help hides
		visible := slices.DeleteFunc(slices.Clone(c.App.Commands), func(c *cli.Command) bool { return c.Hidden })
		cli.DefaultCompleteWithFlags(&cli.Command{Flags: c.App.VisibleFlags(), Subcommands: visible})(c)
	}
}

var kinds = []string{"man", "bash", "zsh", "fish"}

func generate(c *cli.Context) error {
	if c.NArg() != 1 || !slices.Contains(kinds, c.Args().First()) {
		words := append([]string{"generate"}, c.Args().Slice()...)
		return fmt.Errorf("%s: must be one of %s", strings.Join(words, " "), strings.Join(kinds, ", "))
	}
	var text string
	var err error
	switch c.Args().First() {
	case "man":
		text, err = man(c.App)
	case "bash":
		text = bash
	case "zsh":
		text = zsh
	case "fish":
		text, err = fish(c.App)
	}
	if err == nil {
		_, err = io.WriteString(c.App.Writer, text)
	}
	return err
}

// man makes a page in which no value looks like a text in quotes, which is what the library writes.
func man(app *cli.App) (string, error) {
	before := cli.MarkdownDocTemplate
	cli.MarkdownDocTemplate = page
	defer func() { cli.MarkdownDocTemplate = before }()
	text, err := app.ToManWithSection(section)
	if err != nil {
		return "", fmt.Errorf("make the man page: %w", err)
	}
	return strings.ReplaceAll(text, `\fP="":`, `\fP \fIvalue\fP:`), nil
}

// fish makes a script that knows which options take a file. (In a script, a name in backquotes would
// not stand out, as it does in the help.)
func fish(app *cli.App) (string, error) {
	plain := *app
	plain.Flags = settings.Plain(app.VisibleFlags())
	plain.Commands = nil
	for _, c := range app.VisibleCommands() {
		command := *c
		command.Flags = settings.Plain(c.VisibleFlags())
		plain.Commands = append(plain.Commands, &command)
	}
	text, err := plain.ToFishCompletion()
	if err != nil {
		return "", fmt.Errorf("make the completion of fish: %w", err)
	}
	return strings.ReplaceAll(text, "`", ""), nil
}
