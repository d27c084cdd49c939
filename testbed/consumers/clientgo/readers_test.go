package main

import (
	"strings"
	"testing"
)

const server = "https://127.0.0.1:6443"

func document(user string) string {
	return `{"apiVersion":"v1","kind":"Config","current-context":"c",` +
		`"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"` + server + `","certificate-authority-data":"YXV0aG9yaXR5"}}],` +
		`"users":[{"name":"u","user":` + user + `}]}`
}

func bytes(data map[string]string) map[string][]byte {
	converted := map[string][]byte{}
	for key, value := range data {
		converted[key] = []byte(value)
	}
	return converted
}

// defaults are what the flags are set to.
var defaults = keys{server: "server", authority: "ca.crt", token: "token", certificate: "client.crt", privateKey: "client.key"}

func with(change func(*keys)) keys {
	changed := defaults
	change(&changed)
	return changed
}

func TestEveryConsumerFindsServerAuthorityAndCredential(t *testing.T) {
	byToken, byCertificate := document(`{"token":"hunter2"}`), document(`{"client-certificate-data":"Y2VydA==","client-key-data":"a2V5"}`)
	named := with(func(keys *keys) { keys.kubeconfig = "mine" })
	cases := []struct {
		name, as           string
		keys               keys
		data               map[string]string
		token, certificate string
	}{
		{"the default key", "kubeconfig", defaults, map[string]string{"kubeconfig": byToken}, "hunter2", ""},
		{"a key that is named", "kubeconfig", named, map[string]string{"mine": byCertificate}, "", "cert"},
		{"the parts, with a token", "fields", defaults,
			map[string]string{"server": server, "ca.crt": "authority", "token": "hunter2"}, "hunter2", ""},
		{"the parts, with a certificate", "fields", defaults,
			map[string]string{"server": server, "ca.crt": "authority", "client.crt": "cert", "client.key": "key"}, "", "cert"},
		{"the parts, the authority in base64", "fields", with(func(keys *keys) { keys.authorityBase64 = true }),
			map[string]string{"server": server, "ca.crt": "YXV0aG9yaXR5", "token": "hunter2"}, "hunter2", ""},
		{"the parts without the server", "fields", with(func(keys *keys) { keys.serverURL = server }),
			map[string]string{"ca.crt": "authority", "token": "hunter2"}, "hunter2", ""},
		{"Karmada", "karmada", with(func(keys *keys) { keys.serverURL = server }),
			map[string]string{"caBundle": "authority", "token": "hunter2"}, "hunter2", ""},
		{"Crossplane", "crossplane", named, map[string]string{"mine": byToken}, "hunter2", ""},
		{"Crossplane, with a certificate", "crossplane", named, map[string]string{"mine": byCertificate}, "", "cert"},
		{"Fleet", "fleet", defaults, map[string]string{"value": byToken}, "hunter2", ""},
		{"Sveltos, the only key", "sveltos", defaults, map[string]string{"whatever": byToken}, "hunter2", ""},
		{"Sveltos, a key that is named", "sveltos", named, map[string]string{"mine": byToken, "other": ""}, "hunter2", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config, err := readers[c.as](bytes(c.data), c.keys)
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != server || string(config.CAData) != "authority" || config.Insecure {
				t.Errorf("%s %s %t", config.Host, config.CAData, config.Insecure)
			}
			if config.BearerToken != c.token || string(config.CertData) != c.certificate {
				t.Errorf("%q %q", config.BearerToken, config.CertData)
			}
			if (c.certificate != "") != (string(config.KeyData) == "key") {
				t.Errorf("%q", config.KeyData)
			}
		})
	}
}

func TestWhatAConsumerCannotUseIsRefusedWithoutQuotingIt(t *testing.T) {
	named := with(func(keys *keys) { keys.kubeconfig = "mine" })
	cases := []struct {
		name, as, sentence string
		keys               keys
		data               map[string]string
	}{
		{"no such key", "kubeconfig", "no key kubeconfig", defaults, map[string]string{"value": "hunter2"}},
		{"not a kubeconfig", "kubeconfig", "not a kubeconfig", defaults, map[string]string{"kubeconfig": "users: hunter2"}},
		{"no server", "fields", "no key server", defaults, map[string]string{"token": "hunter2"}},
		{"a certificate without a key", "fields", "no key client.key", defaults,
			map[string]string{"server": server, "ca.crt": "authority", "client.crt": "hunter2"}},
		{"an authority that is not base64", "fields", "is not base64", with(func(keys *keys) { keys.authorityBase64 = true }),
			map[string]string{"server": server, "ca.crt": "hunter2!", "token": "hunter2"}},
		{"Karmada without a server", "karmada", "--server is missing", defaults, map[string]string{"token": "hunter2"}},
		{"Karmada without an authority", "karmada", "no key caBundle",
			with(func(keys *keys) { keys.serverURL = server }), map[string]string{"token": "hunter2"}},
		{"Crossplane without a key", "crossplane", "--key is missing", defaults, map[string]string{"value": "hunter2"}},
		{"Crossplane without a context", "crossplane", "no current context", named,
			map[string]string{"mine": strings.Replace(document(`{"token":"hunter2"}`), `"current-context":"c"`, `"current-context":""`, 1)}},
		{"Crossplane, not a kubeconfig", "crossplane", "not a kubeconfig", named, map[string]string{"mine": "users: hunter2"}},
		{"Fleet without its key", "fleet", "no key value", defaults, map[string]string{"kubeconfig": "hunter2"}},
		{"Sveltos with two keys", "sveltos", "2 keys", defaults, map[string]string{"one": "hunter2", "two": "hunter2"}},
		{"Sveltos without any", "sveltos", "no keys", defaults, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := readers[c.as](bytes(c.data), c.keys)
			if err == nil || !strings.Contains(err.Error(), c.sentence) || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}
