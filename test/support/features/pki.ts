/** Certificates for tests of TLS, made by openssl: an authority with an intermediate one, servers, clients, and who is revoked. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate with its chain, and its key; PEM. */
export type TestCertificate = { readonly chain: string; readonly key: string };

/** What tests show to each other. */
export type TestPki = {
  /** The authority that everybody trusts; `issuer` below it signs. */
  readonly root: string;
  /** Both authorities. */
  readonly authorities: string;
  /** An authority that nobody trusts. */
  readonly stranger: string;
  /** Revoked certificates, of both authorities. */
  readonly crl: string;
  /** A certificate by its name: `rsa.example`, `ec.example` (ECDSA), `both-rsa` and `both-ec` (both for both.example), `weak.example` (a key
   * that no OpenSSL of today takes), … */
  of(name: string): TestCertificate;
};

/** Why it cannot be made; false: it can. */
export const opensslUnavailable = (): string | false =>
  spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

/** Name of the file, name in the certificate, kind of key, who signs. */
const leaves = [
  ['rsa.example', 'rsa.example', 'rsa', 'issuer'],
  ['ec.example', 'ec.example', 'ec', 'issuer'],
  ['both-rsa', 'both.example', 'rsa', 'issuer'],
  ['both-ec', 'both.example', 'ec', 'issuer'],
  ['member', 'ec.example', 'ec', 'issuer'],
  ['revoked-member', 'ec.example', 'ec', 'issuer'],
  ['strange-member', 'ec.example', 'ec', 'stranger'],
  ['client', 'A client', 'ec', 'issuer'],
  ['revoked', 'A revoked client', 'ec', 'issuer'],
  ['strange', 'A strange client', 'ec', 'stranger'],
  ['weak.example', 'weak.example', 'weak', 'issuer'],
] as const;

/** Makes them all: about a second. */
export function makeTestPki(): TestPki {
  const folder = mkdtempSync(join(tmpdir(), 'pki-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const file = (name: string) => readFileSync(join(folder, name), 'utf8');
  const kinds = {
    ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    rsa: ['-newkey', 'rsa:2048'],
    weak: ['-newkey', 'rsa:512'],
  };
  try {
    writeFileSync(join(folder, 'empty.cnf'), '[req]\ndistinguished_name = dn\n[dn]\n');
    const request = (name: string, subject: string, kind: keyof typeof kinds, ...more: string[]) =>
      openssl('req', '-config', 'empty.cnf', ...kinds[kind], '-nodes', '-subj', `/CN=${subject}`, '-keyout', `${name}.key`, ...more);
    for (const name of ['root', 'stranger'])
      request(name, `Test ${name}`, 'ec', '-x509', '-days', '3650', '-addext', 'basicConstraints=critical,CA:true', '-out', `${name}.crt`);
    const sign = (name: string, subject: string, kind: keyof typeof kinds, issuer: string, serial: number, extension: string) => {
      request(name, subject, kind, '-new', '-out', `${name}.csr`);
      writeFileSync(join(folder, 'ext'), extension);
      const by = ['-CA', `${issuer}.crt`, '-CAkey', `${issuer}.key`, '-set_serial', String(serial), '-days', '3650', '-extfile', 'ext'];
      openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`);
    };
    sign('issuer', 'Test issuer', 'ec', 'root', 1, 'basicConstraints=critical,CA:true\n');
    for (const [index, [name, subject, kind, issuer]] of leaves.entries())
      sign(
        name,
        subject,
        kind,
        issuer,
        100 + index,
        subject.includes('.') ? `subjectAltName=DNS:${subject}\n` : 'basicConstraints=CA:false\n',
      );
    const revoked = leaves.flatMap(([name], index) => (name.startsWith('revoked') ? [100 + index] : []));
    const crls = [revocations(openssl, folder, 'root', []), revocations(openssl, folder, 'issuer', revoked)];
    const certificates = new Map(
      leaves.map(([name, , , issuer]) => [
        name as string,
        { chain: file(`${name}.crt`) + file(`${issuer}.crt`), key: file(`${name}.key`) },
      ]),
    );
    return {
      root: file('root.crt'),
      authorities: file('root.crt') + file('issuer.crt'),
      stranger: file('stranger.crt'),
      crl: crls.join(''),
      of(name) {
        const found = certificates.get(name);
        if (found === undefined) throw new Error(`there is no certificate ${name}`);
        return found;
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The list of an authority's revoked certificates. */
function revocations(openssl: (...args: string[]) => unknown, folder: string, issuer: string, serials: readonly number[]): string {
  const entries = serials.map((serial) => `R\t350101000000Z\t260101000000Z\t${serial.toString(16).toUpperCase()}\tunknown\t/CN=x\n`);
  writeFileSync(join(folder, 'index'), entries.join(''));
  writeFileSync(join(folder, 'ca.cnf'), '[ca]\ndefault_ca = own\n[own]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 3650\n');
  openssl('ca', '-config', 'ca.cnf', '-gencrl', '-keyfile', `${issuer}.key`, '-cert', `${issuer}.crt`, '-out', `${issuer}.crl`);
  return readFileSync(join(folder, `${issuer}.crl`), 'utf8');
}
