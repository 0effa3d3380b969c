import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificate {
  readonly ca: Buffer;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/**
 * A certificate for `host`, by an authority of its own that nobody else trusts. Needs the openssl
 * program.
 */
export async function certificateFor(host: string): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), "leasehold-tls-"));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): Promise<unknown> =>
    run("openssl", args).catch((error: Error) => {
      throw new Error(`The TLS tests need the program openssl (package "openssl"): ${error.message}`);
    });
  try {
    const fresh = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    await openssl(
      "req",
      "-x509",
      ...fresh,
      "-subj",
      "/CN=test",
      "-keyout",
      at("ca.key"),
      "-out",
      at("ca.pem"),
    );
    await openssl(
      "req",
      ...fresh.slice(0, 3),
      "-subj",
      `/CN=${host}`,
      "-keyout",
      at("key.pem"),
      "-out",
      at("csr"),
    );
    await writeFile(at("ext"), `subjectAltName=${/^[0-9.]+$/.test(host) ? "IP" : "DNS"}:${host}\n`);
    const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("ext")];
    await openssl("x509", "-req", "-days", "2", "-in", at("csr"), ...signed, "-out", at("cert.pem"));
    const [ca, key, cert] = await Promise.all(
      ["ca.pem", "key.pem", "cert.pem"].map((name) => readFile(at(name))),
    );
    return { ca: ca!, key: key!, cert: cert! };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
