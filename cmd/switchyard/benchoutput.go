package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

// writers are the formats of a report, by name.
type writers map[string]func(io.Writer) error

func loadWriters(r *bench.LoadReport) writers {
	return writers{"text": r.WriteText, "json": r.WriteJSON, "bench": r.WriteBenchmarks, "html": r.WriteHTML}
}

func comparisonWriters(c *bench.Comparison) writers {
	return writers{"text": c.WriteText, "json": c.WriteJSON, "bench": c.WriteBenchmarks, "html": c.WriteHTML, "markdown": c.WriteMarkdown}
}

// files are the names of the formats in a directory.
var files = map[string]string{"text": "report.txt", "json": "report.json", "bench": "report.bench", "html": "report.html", "markdown": "report.md"}

// reportFlags are those of a command that ends in a report: its format, where else it goes, and the earlier report that
// it is held against.
type reportFlags struct {
	format   string
	formats  []string
	dir      string
	baseline string
	limit    percent
}

func (f *reportFlags) add(cmd *cobra.Command, formats ...string) {
	f.formats, f.limit = formats, 5
	flags := cmd.Flags()
	flags.StringVarP(&f.format, "output", "o", "text", "output `FORMAT`: "+strings.Join(formats, ", "))
	flags.StringVar(&f.dir, "dir", "", "also write the report to `DIR` in every format")
	flags.StringVar(&f.baseline, "baseline", "", "compare with `FILE`, an earlier report as JSON, and fail if this one is worse")
	flags.Var(&f.limit, "max-regression", "with --baseline, allow a figure to be `PERCENT` worse")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// check refuses what cannot be done before hours of measuring, and reads the baseline.
func (f *reportFlags) check(cmd *cobra.Command) (baseline *os.File, err error) {
	if !slices.Contains(f.formats, f.format) {
		return nil, usageError("it is one of "+strings.Join(f.formats, ", "), "unknown output format %q", f.format)
	}
	if f.baseline == "" {
		if cmd.Flags().Changed("max-regression") {
			return nil, usageError("give the earlier report with --baseline FILE", "--max-regression has nothing to compare with")
		}
		return nil, nil
	}
	return os.Open(f.baseline)
}

// readBaseline reads the earlier report that check has opened, and closes the file; nil is none.
func readBaseline[T any](file *os.File, read func(io.Reader) (*T, error)) (*T, error) {
	if file == nil {
		return nil, nil
	}
	defer file.Close()
	report, err := read(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return report, nil
}

// write prints the report, and writes it to the directory in every format.
func (f *reportFlags) write(out io.Writer, w writers) error {
	if f.dir != "" {
		if err := writeDir(f.dir, w); err != nil {
			return err
		}
	}
	return w[f.format](out)
}

func writeDir(dir string, w writers) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, format := range slices.Sorted(maps.Keys(w)) {
		if err := writeReport(filepath.Join(dir, files[format]), w[format]); err != nil {
			return err
		}
	}
	return nil
}

func writeReport(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// judge says on errw what changed since the baseline, and fails if a figure is worse than allowed.
func (f *reportFlags) judge(errw io.Writer, changes *bench.Changes) error {
	limit := float64(f.limit) / 100
	if err := changes.WriteText(errw, limit); err != nil {
		return err
	}
	if worse := changes.WorseThan(limit); len(worse) > 0 {
		return fmt.Errorf("%s worse than %s by more than %s", count(len(worse), "figure"), f.baseline, &f.limit)
	}
	return nil
}

// percent is a number of percents as a flag: 5% or 2.5.
type percent float64

// Type is the word for the value in help texts.
func (p *percent) Type() string { return "percent" }

// String implements pflag.Value.
func (p *percent) String() string { return strconv.FormatFloat(float64(*p), 'g', -1, 64) + "%" }

// Set implements pflag.Value.
func (p *percent) Set(s string) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || v < 0 || v != v {
		return errors.New("not a percentage such as 5%")
	}
	*p = percent(v)
	return nil
}

// progressLine shows what is going on while a terminal is watching: each line takes the place of the one before. Else it
// calls otherwise, which may be nil, with a line. The function that clear returns leaves the terminal clean.
func progressLine(errw io.Writer, otherwise func(string)) (tell func(string), clear func()) {
	if !isTerminal(errw) {
		return otherwise, func() {}
	}
	const erase = "\r\x1b[K"
	return func(line string) { fmt.Fprint(errw, erase, line) }, func() { fmt.Fprint(errw, erase) }
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 // or /dev/null, which minds nothing
}
