/**
 * Names of the files in a load balancer's folder of certificates: `PUT /1.0/loadbalancer/{lb}/certificates/{name}`.
 *
 * A name is `<slot>.<reference>.<MD5 of the content>.pem`. As with lists, the MD5 of a configuration thus covers its
 * certificates, an upload alone changes nothing, and nothing that HAProxy may have to start with is ever overwritten. The slot
 * is the place that a file has (`<listener id>-default`): names with the same slot are versions of one thing, which an agent
 * may exchange in the running HAProxy. The part for the reference (a hash) says which secret it was made from, so that it is
 * found again when the secret can no longer be read.
 */
import { createHash } from 'node:crypto';

/** The parts of a name. */
export type TlsFileName = { readonly slot: string; readonly reference: string; readonly md5: string };

const pattern = /^([a-z0-9-]{1,60})\.([0-9a-f]{12})\.([0-9a-f]{32})\.pem$/u;

/** The beginning of a name: the slot, and a hash of the references that the content comes from. */
export function tlsPlace(slot: string, references: readonly string[]): string {
  return `${slot}.${createHash('sha256').update(references.join('\n')).digest('hex').slice(0, 12)}`;
}

/** The name of a content in a place. */
export const tlsFileName = (place: string, md5: string): string => `${place}.${md5}.pem`;

/** The MD5 that a name must have for this content. */
export const tlsFileMd5 = (content: string): string => createHash('md5').update(content).digest('hex');

/** The parts of a name; undefined when it is none, as upstream's controllers write. */
export function parseTlsFileName(name: string): TlsFileName | undefined {
  const match = pattern.exec(name);
  return match === null ? undefined : { slot: match[1] ?? '', reference: match[2] ?? '', md5: match[3] ?? '' };
}
