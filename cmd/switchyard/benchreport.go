package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBenchReport() *cobra.Command {
	var out reportFlags
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Show a saved report in another format",
		Long: `Read FILE, the JSON of an earlier bench load or bench compare, and print it as a table,
lines for benchstat, or a page with charts; or compare it with an earlier one. The exit
status is 1 if a figure is worse than --baseline allows.`,
		Example: `  switchyard bench report comparison/report.json -o html > comparison.html
  switchyard bench report new.json --baseline old.json --max-regression 3%`,
		Args: exactArgs("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := out.check(cmd)
			if err != nil {
				return err
			}
			if file != nil {
				defer file.Close()
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			report, err := readReport(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return report.show(cmd, &out, file)
		},
	}
	out.add(cmd, "text", "json", "bench", "html", "markdown")
	return cmd
}

// savedReport is one of the two kinds.
type savedReport struct {
	comparison *bench.Comparison
	load       *bench.LoadReport
}

func readReport(text []byte) (r savedReport, err error) {
	if r.comparison, err = bench.ReadComparison(bytes.NewReader(text)); err == nil {
		return r, nil
	}
	r.comparison = nil
	if r.load, err = bench.ReadLoadReport(bytes.NewReader(text)); err == nil {
		return r, nil
	}
	return r, errors.New("neither a report of bench load nor one of bench compare")
}

// show prints the report and judges it by the baseline, which may be nil.
func (r savedReport) show(cmd *cobra.Command, out *reportFlags, baseline *os.File) error {
	w := r.writers()
	if w[out.format] == nil {
		return usageError("markdown is for comparisons", "a report of bench load has no format %q", out.format)
	}
	if err := out.write(cmd.OutOrStdout(), w); err != nil || baseline == nil {
		return err
	}
	changes, err := r.since(baseline)
	if err != nil {
		return fmt.Errorf("%s: %w", baseline.Name(), err)
	}
	return out.judge(cmd.ErrOrStderr(), changes)
}

func (r savedReport) writers() writers {
	if r.load != nil {
		return loadWriters(r.load)
	}
	return comparisonWriters(r.comparison)
}

func (r savedReport) since(baseline *os.File) (*bench.Changes, error) {
	if r.load != nil {
		earlier, err := bench.ReadLoadReport(baseline)
		if err != nil {
			return nil, err
		}
		return r.load.Since(earlier), nil
	}
	earlier, err := bench.ReadComparison(baseline)
	if err != nil {
		return nil, err
	}
	return r.comparison.Since(earlier), nil
}
