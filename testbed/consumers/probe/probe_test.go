package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"
)

var line = []string{"--kubeconfig", "file", "--namespace", "team", "--secret", "prod"}

func target() *Target {
	return &Target{
		Server:         "https://target",
		BearerToken:    "hunter2",
		Review:         func(context.Context) (Identity, error) { return Identity{Username: "jo", Groups: []string{"all"}}, nil },
		ListNamespaces: func(context.Context) error { return nil },
		Details:        map[string]any{"colour": "blue"},
	}
}

func runWith(line []string, connect Connect) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run("test", nil, connect, line, &out, &err)
	return code, out.String(), err.String()
}

func TestAReportSaysWhoTheClientIsAndOnlyTheHashOfItsToken(t *testing.T) {
	var given Arguments
	code, stdout, stderr := runWith(line, func(_ context.Context, arguments Arguments) (*Target, error) {
		given = arguments
		return target(), nil
	})
	if code != 0 || stderr != "" {
		t.Fatalf("%d: %s", code, stderr)
	}
	if expected := (Arguments{Kubeconfig: "file", Namespace: "team", Secret: "prod"}); given != expected {
		t.Errorf("%+v", given)
	}
	var report Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	expected := Report{
		Consumer: "test",
		Server:   "https://target",
		Username: "jo",
		Groups:   []string{"all"},
		// printf hunter2 | sha256sum
		TokenSHA256: "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7",
		Details:     map[string]any{"colour": "blue"},
	}
	if !reflect.DeepEqual(report, expected) {
		t.Errorf("%+v", report)
	}
	if strings.Contains(stdout, "hunter2") {
		t.Error("the token is in the report")
	}
}

func TestAClientWithACertificateHasTheHashOfThat(t *testing.T) {
	_, stdout, _ := runWith(line, func(context.Context, Arguments) (*Target, error) {
		target := target()
		target.BearerToken, target.ClientCertificate = "", []byte("hunter2")
		return target, nil
	})
	if !strings.Contains(stdout, `"tokenSha256":"","certificateSha256":"f52fbd32`) {
		t.Error(stdout)
	}
}

func TestAFailureIsOneSentenceWithoutTheToken(t *testing.T) {
	broken := errors.New("refused:\n  hunter2 is not known")
	cases := map[string]Connect{
		"the Secret cannot be read": func(context.Context, Arguments) (*Target, error) {
			return nil, errors.New("there is no\nSecret")
		},
		"the cluster refuses the review": func(context.Context, Arguments) (*Target, error) {
			target := target()
			target.Review = func(context.Context) (Identity, error) { return Identity{}, broken }
			return target, nil
		},
		"the cluster refuses the list": func(context.Context, Arguments) (*Target, error) {
			target := target()
			target.ListNamespaces = func(context.Context) error { return broken }
			return target, nil
		},
	}
	for name, connect := range cases {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := runWith(line, connect)
			if code != 1 || stdout != "" {
				t.Errorf("%d: %q", code, stdout)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "consumer-test: ") {
				t.Errorf("%q", stderr)
			}
			if strings.Contains(stderr, "hunter2") {
				t.Errorf("%q", stderr)
			}
		})
	}
}

func TestAWrongCommandLineIsRefusedBeforeAnythingIsDone(t *testing.T) {
	cases := map[string][]string{
		"--secret is missing":   line[:4],
		"-colour":               append(append([]string{}, line...), "--colour=blue"),
		"there is no argument ": append(append([]string{}, line...), "blue"),
	}
	for sentence, line := range cases {
		t.Run(sentence, func(t *testing.T) {
			code, _, stderr := runWith(line, func(context.Context, Arguments) (*Target, error) {
				t.Error("it connected")
				return nil, errors.New("unexpected")
			})
			if code != 2 || !strings.Contains(stderr, sentence) {
				t.Errorf("%d: %q", code, stderr)
			}
		})
	}
}

func TestHelpListsTheFlagsOfTheConsumer(t *testing.T) {
	var out, err bytes.Buffer
	define := func(flags *flag.FlagSet) { flags.String("key", "value", "`key` of the Secret") }
	code := run("test", define, nil, []string{"--help"}, &out, &err)
	if code != 0 || !strings.Contains(err.String(), "-key key") || !strings.Contains(err.String(), "-namespace namespace") {
		t.Errorf("%d: %s", code, err.String())
	}
}
