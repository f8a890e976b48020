//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// program returns the command as a program of its own.
func program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	check(t, err)
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm-256color", "NO_COLOR=")
	return cmd
}

// A session is a program at a terminal.
type session struct {
	cmd    *exec.Cmd
	screen *os.File
}

func atTerminal(t testing.TB, width uint16, cmd *exec.Cmd) session {
	t.Helper()
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: width})
	check(t, err)
	// A program that does not get on ends here, and so does what reads its screen.
	hangs := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		hangs.Stop()
		screen.Close()
		if cmd.ProcessState == nil { // the test failed before its end
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return session{cmd, screen}
}

// waitFor reads the screen until a text is on it.
func (s session) waitFor(t testing.TB, text string) string {
	t.Helper()
	var seen []byte
	buf := make([]byte, 1024)
	for !bytes.Contains(seen, []byte(text)) {
		n, err := s.screen.Read(buf)
		if seen = append(seen, buf[:n]...); err != nil {
			t.Fatalf("%q is not on the screen: %s", text, seen)
		}
	}
	return string(seen)
}

// end returns what else was on the screen, and the exit code.
func (s session) end(t testing.TB) (string, int) {
	t.Helper()
	rest, err := io.ReadAll(s.screen)
	if err != nil && !errors.Is(err, syscall.EIO) { // Linux's end of a terminal
		t.Fatal(err)
	}
	err = s.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(rest), "\r\n", "\n"), s.cmd.ProcessState.ExitCode()
}

func TestAtATerminal(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		demo(t, url)
		for width, file := range map[uint16]string{80: "ls-80.txt", 200: "ls-200.txt"} {
			out, code := atTerminal(t, width, program(t, "ls", url)).end(t)
			if code != exitDone || !strings.Contains(out, "\x1b[32mDONE\x1b[0m") || !strings.Contains(out, "\x1b[31mFAILED\x1b[0m") {
				t.Errorf("exit code %d, coloured: %q", code, out)
			}
			golden(t, file, url, sgrCodes.ReplaceAllString(out, ""))
			cmd := program(t, "ls", url)
			cmd.Env = append(cmd.Env, "NO_COLOR=1")
			out, code = atTerminal(t, width, cmd).end(t)
			if code != exitDone {
				t.Errorf("exit code %d", code)
			}
			golden(t, file, url, out)
		}
		out, _ := atTerminal(t, 80, program(t, "show", url, "4")).end(t)
		golden(t, "show-color.txt", url, out)
		out, _ = atTerminal(t, 80, program(t, "ls", url, "--json")).end(t)
		golden(t, "ls.json", url, out)
	})
}

func TestInAPipe(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	out, err := program(t, "ls", url).Output()
	check(t, err)
	golden(t, "ls.txt", url, string(out))
	cmd := program(t, "show", strings.TrimPrefix(url, "sqlite:"), "-", "--json")
	cmd.Stdin = strings.NewReader("1\n2\n3\n4\n5\n")
	out, err = cmd.Output()
	check(t, err)
	golden(t, "show.json", url, string(out))
}

func TestAPersonIsAsked(t *testing.T) {
	t.Parallel()
	url := place(t, "sqlite")
	demo(t, url)
	for _, c := range []struct {
		answer string
		code   int
		want   string
		left   string
	}{
		{"n\n", exitFailed, "brine: nothing was done\n", "5\n"},
		{"\n", exitFailed, "brine: nothing was done\n", "5\n"},
		{"\x04", exitFailed, "brine: nothing was done\n", "5\n"}, // the end of the input
		{"\x03", exitFailed, "brine: interrupted\n", "5\n"},      // Ctrl-C
		{"y\n", exitDone, "removed 1 record\n", "4\n"},
	} {
		s := atTerminal(t, 80, program(t, "rm", url, "5"))
		s.waitFor(t, "Remove 1 record? [y/N] ")
		_, err := s.screen.WriteString(c.answer)
		check(t, err)
		out, code := s.end(t)
		if code != c.code || !strings.HasSuffix(out, c.want) {
			t.Errorf("%q: exit code %d, %q", c.answer, code, out)
		}
		if got := done(t, "count", url); got != c.left {
			t.Errorf("%q: %s are left", c.answer, got)
		}
	}
}

// bashWords are what bash-completion makes of a command line in which ":" and "=" break no words.
const bashWords = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
__ltrim_colon_completions() { :; }
compopt() { :; }
source <(brine completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_brine
printf '%s\n' "${COMPREPLY[@]}"
`

func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	dir := t.TempDir()
	exe, err := os.Executable()
	check(t, err)
	check(t, os.Symlink(exe, filepath.Join(dir, "brine")))
	demo(t, "sqlite:"+filepath.Join(dir, "demo.db"))
	for _, c := range []struct{ line, want string }{
		{"brine sto", "stores"},
		{"brine kv d", "delete"},
		{"brine ls --whe", "--where"},
		{"brine completion z", "zsh"},
		{"brine ls sqlite:de", "demo.db"}, // bash has the scheme as a word of its own
		{"brine ls postg", "postgres://"},
		{"brine show demo.db ", "1\n2\n3\n4\n5"},
		{"brine rm sqlite:demo.db 2 3", "3"},
		{"brine ls demo.db --state D", "DONE"},
		{"brine ls demo.db --type demo.T", "demo.Task"},
		{"brine kv demo.db limits/p", "limits/parallel"},
		{"brine kv set demo.db x 1 --as b", "bool\nbytes"},
		{"brine show absent.db ", ""},
		{"brine cp demo.db sqlite:de", "demo.db"},
		{"brine diff demo.db postg", "postgres://"},
	} {
		cmd := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", bashWords, "bash"}, strings.Split(c.line, " ")...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), asProgram+"=1", "PATH="+dir+":"+os.Getenv("PATH"))
		var errOut bytes.Buffer
		cmd.Stderr = &errOut
		out, err := cmd.Output()
		check(t, err)
		var got []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "  ") // a description may follow
			got = append(got, word)
		}
		if words := strings.Join(got, "\n"); words != c.want || errOut.Len() > 0 {
			t.Errorf("%s: %q, want %q; %s", c.line, words, c.want, &errOut)
		}
	}
}
