/** References to secrets and containers, as Barbican's clients write them. Pure. */

/** What a reference names; `entity` null: it does not say whether a secret or a container. */
export type SecretRef = { readonly entity: 'secret' | 'container' | null; readonly id: string };

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const bare = new RegExp(`^${uuid}$`, 'iu');
const address = new RegExp(String.raw`^https?://[^\s?#\u0000]{1,200}/(secrets|containers)/(${uuid})/?$`, 'iu');

/**
 * Takes a reference apart; null: it is none. Of an address only the end counts: the key manager is always the configured one, so that
 * no tenant can have controllers call a host of its choice.
 */
export function parseSecretRef(ref: string): SecretRef | null {
  if (bare.test(ref)) return { entity: null, id: ref.toLowerCase() };
  const [, entities, id] = address.exec(ref) ?? [];
  return id === undefined ? null : { entity: entities?.toLowerCase() === 'secrets' ? 'secret' : 'container', id: id.toLowerCase() };
}
