/**
 * Certificates for a test, made by openssl in a folder of their own.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a node:test wants as its `skip`: false, or why. */
export function opensslMissing(): false | string {
  return spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";
}

/** An authority, and what it has signed. */
export class Certificates {
  readonly folder: string = mkdtempSync(join(tmpdir(), "persistmq-certificates-"));

  /** Makes the authority. */
  constructor() {
    this.#openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.crt",
      "-days",
      "2",
      "-subj",
      "/CN=authority",
    );
  }

  /** The authority's certificate, as it crosses to a worker: bytes. */
  get authority(): Uint8Array {
    return new Uint8Array(readFileSync(this.path("ca.crt")));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Signs `<name>.crt` for these names, as in `DNS:localhost,IP:127.0.0.1`; with days below 0 it has expired. The key is in `<name>.key`. */
  sign(name: string, subjectNames: string, days = 2): { readonly cert: string; readonly key: string } {
    this.#openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(this.path(`${name}.ext`), `subjectAltName=${subjectNames}\n`);
    const signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", `${name}.ext`, "-days", String(days)];
    this.#openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.crt`, ...signing);
    return { cert: this.path(`${name}.crt`), key: this.path(`${name}.key`) };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #openssl(...words: readonly string[]): void {
    const { status, stderr } = spawnSync("openssl", words, { cwd: this.folder });
    if (status !== 0) throw new Error(`Cannot make a certificate: openssl ${words[0]} says ${stderr}`);
  }
}
