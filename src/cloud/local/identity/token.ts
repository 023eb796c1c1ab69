/** The text of a token: claims and a message authentication code over them, so that nothing is stored per token. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** What a token says. Times are milliseconds since the epoch. */
export type TokenClaims = {
  readonly user_id: string;
  readonly project_id: string | null;
  readonly domain_id: string | null;
  readonly system: boolean;
  readonly methods: readonly string[];
  readonly issued_ms: number;
  readonly expires_ms: number;
  /** Names the token without being it; what a revocation lists. */
  readonly audit_id: string;
  /** The first token of the chain that this one was made from; null: none. */
  readonly parent_audit_id: string | null;
  readonly application_credential_id: string | null;
};

/** The form below; a later form gets another number, and tokens of this one are refused then. */
const FORM = 1;
/** The code covers this, so that the key's signatures of other things are never tokens. */
const PURPOSE = 'octavia identity token 1\n';
const MAX_LENGTH = 2048;

/** The token for claims: base64url JSON, a dot, base64url HMAC-SHA256. */
export function sealToken(key: KeyObject, claims: TokenClaims): string {
  const payload = Buffer.from(
    JSON.stringify([
      FORM,
      claims.user_id,
      claims.project_id,
      claims.domain_id,
      claims.system,
      claims.methods,
      claims.issued_ms,
      claims.expires_ms,
      claims.audit_id,
      claims.parent_audit_id,
      claims.application_credential_id,
    ]),
  ).toString('base64url');
  return `${payload}.${codeOf(key, payload).toString('base64url')}`;
}

/** The claims of a token, or null when it is not one of ours. Does not look at times. */
export function openToken(key: KeyObject, token: string): TokenClaims | null {
  if (token.length > MAX_LENGTH) return null;
  const dot = token.indexOf('.');
  if (dot < 1) return null;
  const payload = token.slice(0, dot);
  const expected = codeOf(key, payload);
  const given = Buffer.from(token.slice(dot + 1), 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  // The decoder skips characters that are not of its alphabet: only one text may stand for one token.
  if (given.toString('base64url') !== token.slice(dot + 1)) return null;
  return claimsOf(JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown[]);
}

function claimsOf(values: readonly unknown[]): TokenClaims | null {
  const [form, user_id, project_id, domain_id, system, methods, issued_ms, expires_ms, audit_id, parent_audit_id, credential] = values;
  if (form !== FORM) return null;
  return {
    user_id: user_id as string,
    project_id: project_id as string | null,
    domain_id: domain_id as string | null,
    system: system as boolean,
    methods: methods as string[],
    issued_ms: issued_ms as number,
    expires_ms: expires_ms as number,
    audit_id: audit_id as string,
    parent_audit_id: parent_audit_id as string | null,
    application_credential_id: credential as string | null,
  };
}

function codeOf(key: KeyObject, payload: string): Buffer {
  return createHmac('sha256', key).update(PURPOSE).update(payload).digest();
}
