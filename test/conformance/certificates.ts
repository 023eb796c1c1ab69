/** The certificates that recorded requests name: three with their keys, an authority, and its list of revoked certificates. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeSecrets } from '../../src/cloud/fake/secrets.ts';
import { Secret } from '../../src/lib/secret.ts';
import { fixtureText } from '../support/tls-fixtures.ts';

/** `11111111-1111-4111-8111-111111111111` and its like. */
const idOf = (digit: number): string =>
  [8, 4, 4, 4, 12].map((length, index) => (['', '', '4', '8', ''][index] ?? '').padEnd(length, String(digit))).join('-');

const keyed = [1, 2, 3].map(idOf);
const payloads = { [idOf(4)]: 'issuer.crt', [idOf(5)]: 'issuer.crl' };

/** They as a key manager in memory. */
export function knownSecrets(): FakeSecrets {
  const secrets = new FakeSecrets();
  for (const id of keyed) secrets.putCertificate(id, { certificate: fixtureText('rsa.crt'), key: new Secret(fixtureText('rsa.key')) });
  for (const [id, fixture] of Object.entries(payloads)) secrets.putPayload(id, fixtureText(fixture));
  return secrets;
}

/** Writes them into a folder, as `local_cert_manager` reads them. */
export async function writeCertificates(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const id of keyed) {
    await writeFile(join(folder, `${id}.crt`), fixtureText('rsa.crt'));
    await writeFile(join(folder, `${id}.key`), fixtureText('rsa.key'), { mode: 0o600 });
  }
  for (const [id, fixture] of Object.entries(payloads)) await writeFile(join(folder, `${id}.crt`), fixtureText(fixture));
}
