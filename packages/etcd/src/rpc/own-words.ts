/** What a failed connection says, by a piece of its text, and what it means. */
const meanings: readonly (readonly [piece: string, means: string])[] = [
  ["certificate has expired", "TLS: its certificate has expired"],
  ["certificate is not yet valid", "TLS: its certificate is not valid yet"],
  ["does not match certificate's altnames", "TLS: its certificate is for another host name"],
  ["self-signed certificate", "TLS: its certificate is of no authority that is trusted here"],
  ["unable to verify the first certificate", "TLS: its certificate is of no authority that is trusted here"],
  ["unable to get local issuer certificate", "TLS: its certificate is of no authority that is trusted here"],
  ["wrong version number", "TLS: it does not speak TLS (https:// to a port for http://?)"],
  ["before secure TLS connection was established", "TLS: it ended the handshake. Does its port speak TLS?"],
  ["alert certificate required", "TLS: it asks for a certificate of the client"],
  ["SSL routines", "TLS: the handshake failed"],
  ["Protocol error", "what answers does not speak etcd's protocol"],
  ["Failed to connect", "the connection was closed (http:// to a port for TLS?)"],
];

/**
 * A status in words that say what is wrong. gRPC wraps the cause of a failed connection into texts
 * of its own, with stamps of time and traces of OpenSSL; the cause's own sentence stays.
 */
export function ownWords(details: string): string {
  const cause = /Last error: ([\s\S]*?)\.? Resolution note:/.exec(details)?.[1] ?? details;
  const sentence = cause
    .replace(/^Error(?: \[[A-Z0-9_]+\])?: /, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)$/, "")
    .replace(/^[0-9A-F]+:error:[0-9A-F]+:SSL routines:[^:]*:([^:]+):[\s\S]*$/, "$1")
    .replace(/; if the root CA is installed locally[\s\S]*$/, "")
    .trim();
  const means = meanings.find(([piece]) => cause.includes(piece))?.[1];
  return means === undefined ? sentence : `${means} (${sentence})`;
}
