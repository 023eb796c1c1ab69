/** Certificates: the agent's own, and those of listeners and pools. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { isUuid } from '../lib/ids.ts';
import { refuse } from './answers.ts';
import { readIfThere } from './files.ts';
import { loadBalancerPlaces } from './places.ts';
import type { Places } from './places.ts';
import { md5Of } from './runtime/wanted.ts';

/** Throws a refusal with 400 unless the text holds a certificate and its key. */
export function checkServerPem(pem: string): void {
  try {
    if (!new X509Certificate(pem).checkPrivateKey(createPrivateKey(pem))) throw new Error('the key is not that of the certificate');
  } catch (error) {
    // OpenSSL's words on a bad key do not contain it.
    throw refuse(400, 'Invalid certificate', error instanceof Error ? error.message : undefined, error);
  }
}

const certificateName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,120}\.pem$/u;

/** The path of a listener's certificate. Throws a refusal with 400 for a name that is no plain `….pem`. */
export function certificatePath(places: Places, loadbalancer_id: string, name: string | undefined): string {
  if (name === undefined || !certificateName.test(name) || name.includes('..')) throw refuse(400, 'Filename has wrong format');
  return `${loadBalancerPlaces(places, loadbalancer_id).certificates}/${name}`;
}

/** Stores a certificate; answers its MD5. */
export async function storeCertificate(places: Places, loadbalancer_id: string, name: string | undefined, pem: Buffer): Promise<string> {
  const path = certificatePath(places, loadbalancer_id, name);
  await mkdir(loadBalancerPlaces(places, loadbalancer_id).certificates, { recursive: true, mode: 0o700 });
  await writeFileAtomic(path, pem);
  return md5Of(pem);
}

/** The MD5 of a stored certificate. Throws a refusal with 404. */
export async function certificateMd5(places: Places, loadbalancer_id: string, name: string | undefined): Promise<string> {
  const text = await readIfThere(certificatePath(places, loadbalancer_id, name));
  if (text === undefined) throw refuse(404, 'Certificate Not Found', `No certificate with filename: ${name}`);
  return md5Of(text);
}

/** Removes a certificate; one that is not there is success. */
export async function removeCertificate(places: Places, loadbalancer_id: string, name: string | undefined): Promise<void> {
  await rm(certificatePath(places, loadbalancer_id, name), { force: true });
}

/** MD5 of every stored certificate by load balancer and name. */
export async function listCertificates(places: Places): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const ids = (await readdir(places.base_cert_dir).catch(() => [])).filter(isUuid);
  const entries = await Promise.all(
    ids.map(async (id) => {
      const folder = loadBalancerPlaces(places, id).certificates;
      const names = (await readdir(folder)).filter((name) => certificateName.test(name)).toSorted();
      return [
        id,
        Object.fromEntries(await Promise.all(names.map(async (name) => [name, md5Of(await readFile(`${folder}/${name}`))]))),
      ] as const;
    }),
  );
  return Object.fromEntries(entries);
}
