package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/configs"
)

// defaultConfig is the file used where none is named.
const defaultConfig = "switchyard.yaml"

// configFlag is the configuration file: -c FILE, or the one positional argument.
type configFlag struct{ path string }

func (c *configFlag) add(cmd *cobra.Command) {
	cmd.Args = atMostOne("FILE")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	cmd.Flags().StringVarP(&c.path, "config", "c", "", "configuration `FILE`, as the argument names it (default "+defaultConfig+")")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// file returns the path to load.
func (c *configFlag) file(args []string) (string, error) {
	switch {
	case len(args) == 0 && c.path == "":
		return defaultConfig, nil
	case len(args) == 0:
		return c.path, nil
	case c.path == "" || c.path == args[0]:
		return args[0], nil
	}
	return "", usageError("name it once", "two configuration files: %s and %s", c.path, args[0])
}

// load reads and checks the file.
func (c *configFlag) load(args []string) (path string, cfg *configs.Config, err error) {
	path, err = c.file(args)
	if err != nil {
		return "", nil, err
	}
	cfg, err = configs.Load(path)
	if err != nil {
		return path, nil, c.explainLoad(args, err)
	}
	return path, cfg, nil
}

// explainLoad gives err its exit status, and a hint where it is known what was meant.
func (c *configFlag) explainLoad(args []string, err error) error {
	if mistakes, ok := errors.AsType[configs.Errors](err); ok {
		return &failure{code: exitConfig, err: mistakes, plain: true}
	}
	switch path, _ := c.file(args); {
	case errors.Is(err, fs.ErrNotExist) && len(args) == 0 && c.path == "":
		return withHint(err, "name the configuration file, or start from one under examples")
	case path == "-", isStream(path):
		return withHint(err, "the configuration is a file with a name: reloads read it again")
	case errors.Is(err, fs.ErrPermission):
		return withHint(err, "let the user of this process read it")
	}
	return err
}

// isStream reports whether path is a pipe or a device, such as /dev/stdin.
func isStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// completeListeners offers the names of the listeners in the file, as far as the command line names one by now.
func (c *configFlag) completeListeners(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	_, cfg, err := c.load(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return listenerNames(&cfg.Balancer), cobra.ShellCompDirectiveNoFileComp
}
