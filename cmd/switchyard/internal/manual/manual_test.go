package manual

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

func tree() *cobra.Command {
	root := &cobra.Command{Use: "yard", Short: "Move wagons", Long: "Move wagons about.\n\n  indented\n  block\n\n.profile is not a macro"}
	run := func(*cobra.Command, []string) {}
	push := &cobra.Command{Use: "push WAGON", Short: "Push one", Run: run, Example: "  yard push --slow 1\n  yard push 2"}
	push.Flags().BoolP("slow", "s", false, "go slowly")
	push.Flags().Int("times", 3, "push `N` times | more")
	root.AddCommand(push, &cobra.Command{Use: "secret", Hidden: true, Run: run})
	return root
}

func TestCommandsLeaveOutWhatUsersDoNotSee(t *testing.T) {
	var got []string
	for _, c := range Commands(tree()) {
		got = append(got, PageName(c))
	}
	if diff := cmp.Diff([]string{"yard", "yard-push"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRoff(t *testing.T) {
	root := tree()
	for i, want := range []string{`.TH "YARD" 1 "" "yard" "Switchyard manual"
.nh
.ad l
.SH NAME
yard \- Move wagons
.SH SYNOPSIS
.B yard COMMAND
.SH DESCRIPTION
Move wagons about.
.PP
.nf
  indented
  block
.fi
.PP
\&.profile is not a macro
.SH COMMANDS
.TP
.BR yard\-push (1)
Push one
.SH OPTIONS
.TP
.B \-h, \-\-help
print the help of the command
`, `.TH "YARD\-PUSH" 1 "" "yard" "Switchyard manual"
.nh
.ad l
.SH NAME
yard\-push \- Push one
.SH SYNOPSIS
.B yard push WAGON [flags]
.SH DESCRIPTION
Push one.
.SH OPTIONS
.TP
.B \-s, \-\-slow
go slowly
.TP
.B \-\-times N
push N times | more (default 3)
.TP
.B \-h, \-\-help
print the help of the command
.SH EXAMPLES
.nf
yard push \-\-slow 1
yard push 2
.fi
.SH SEE ALSO
.BR yard (1)
`} {
		if diff := cmp.Diff(want, string(Roff(Commands(root)[i]))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMarkdown(t *testing.T) {
	want := "<!-- Made from the command tree by `make generate`; not to be edited. -->\n\n# Commands of yard\n" + `
## yard

    yard COMMAND

Move wagons about.

      indented
      block

.profile is not a macro

- [yard push](#yard-push): Push one

## yard push

    yard push WAGON [flags]

Push one.

| flag | what it does |
|---|---|
| ` + "`-s, --slow`" + ` | go slowly |
| ` + "`--times N`" + ` | push N times \| more (default 3) |

` + "```sh\nyard push --slow 1\nyard push 2\n```\n"
	if diff := cmp.Diff(want, string(Markdown(tree()))); diff != "" {
		t.Error(diff)
	}
}
