import { expect, test } from "vitest";
import { ownWords } from "./own-words.ts";

const failed = (cause: string): string =>
  `No connection established. Last error: ${cause}. Resolution note: `;

test.each([
  [failed("Error: connect ECONNREFUSED 127.0.0.1:1"), "connect ECONNREFUSED 127.0.0.1:1"],
  [
    failed(
      "Error: self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca",
    ),
    "TLS: its certificate is of no authority that is trusted here (self-signed certificate)",
  ],
  [failed("Error: certificate has expired"), "TLS: its certificate has expired (certificate has expired)"],
  [
    failed(
      "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: ",
    ),
    "TLS: its certificate is for another host name (Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list:)",
  ],
  [
    failed(
      "Error: 403D03DB427F0000:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../deps/x.c:77:\n",
    ),
    "TLS: it does not speak TLS (https:// to a port for http://?) (wrong version number)",
  ],
  [
    failed("Protocol error (2026-11-27T16:14:43.998Z)"),
    "what answers does not speak etcd's protocol (Protocol error)",
  ],
  ["etcdserver: permission denied", "etcdserver: permission denied"],
  [
    "Name resolution failed for target dns:nobody.invalid:2379",
    "Name resolution failed for target dns:nobody.invalid:2379",
  ],
])("%s", (details, words) => {
  expect(ownWords(details)).toBe(words);
});
