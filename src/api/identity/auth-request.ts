/** Reads the body of `POST /v3/auth/tokens` (Identity API v3, "Authentication and token management"). */
import type {
  AuthMethod,
  AuthRequest,
  CredentialReference,
  DomainReference,
  Reference,
  ScopeRequest,
} from '../../cloud/local/identity/login.ts';
import { Fault } from '../../model/faults.ts';
import { isObject, listAt, objectAt, requiredTextAt } from './fields.ts';
import type { JsonObject } from './fields.ts';

/** Longer than any password in use, and short enough to hash. */
const MAX_SECRET = 1024;
const MAX_TOKEN = 4096;
const MAX_METHODS = 4;

/** What a login body asks for. Throws `Fault` 400 when it is malformed, 401 for a method that does not exist. */
export function readAuthRequest(body: JsonObject): AuthRequest {
  const auth = objectAt(body, 'auth');
  const identity = objectAt(auth, 'identity');
  const methods = listAt(identity, 'methods', MAX_METHODS);
  if (methods === undefined || methods.length === 0) throw new Fault(400, 'Expecting to find methods in identity.');
  return { methods: [...new Set(methods)].map((method) => readMethod(identity, method)), scope: readScope(auth['scope']) };
}

function readMethod(identity: JsonObject, method: unknown): AuthMethod {
  switch (method) {
    case 'password': {
      const user = objectAt(objectAt(identity, 'password'), 'user');
      return { method, user: readReference(user), password: secretAt(user, 'password') };
    }
    case 'token':
      return { method, token: requiredTextAt(objectAt(identity, 'token'), 'id', MAX_TOKEN) };
    case 'application_credential': {
      const credential = objectAt(identity, 'application_credential');
      return { method, credential: readCredential(credential), secret: secretAt(credential, 'secret') };
    }
    default:
      if (typeof method !== 'string') throw new Fault(400, "Invalid input for field 'methods': an item is not of type 'string'.");
      throw new Fault(401, 'Attempted to authenticate with an unsupported method.');
  }
}

/** An empty password is a wrong one, not a malformed request. */
function secretAt(parent: JsonObject, key: string): string {
  if (parent[key] === '') throw new Fault(401, 'The request you have made requires authentication.');
  return requiredTextAt(parent, key, MAX_SECRET);
}

function readScope(scope: unknown): ScopeRequest {
  if (scope === undefined || scope === null) return { type: 'default' };
  if (scope === 'unscoped') return { type: 'unscoped' };
  if (!isObject(scope)) throw new Fault(400, "Invalid input for field 'scope': it is not an object.");
  if ('unscoped' in scope) return { type: 'unscoped' };
  const kinds = ['project', 'domain', 'system'].filter((kind) => scope[kind] !== undefined);
  // Keystone's own tolerance: some clients send an empty object for "no scope".
  if (kinds.length === 0) return { type: 'default' };
  if (kinds.length > 1) throw new Fault(400, `Only one of project, domain and system can be the scope, not ${kinds.join(' and ')}.`);
  if (kinds[0] === 'project') return { type: 'project', project: readReference(objectAt(scope, 'project')) };
  if (kinds[0] === 'domain') return { type: 'domain', domain: readDomain(objectAt(scope, 'domain')) };
  if (objectAt(scope, 'system')['all'] !== true) throw new Fault(400, "Invalid input for field 'system': expecting all to be true.");
  return { type: 'system' };
}

function readCredential(credential: JsonObject): CredentialReference {
  if (credential['id'] !== undefined) return { id: requiredTextAt(credential, 'id') };
  return { name: requiredTextAt(credential, 'name'), user: readReference(objectAt(credential, 'user')) };
}

function readReference(thing: JsonObject): Reference {
  if (thing['id'] !== undefined) return { id: requiredTextAt(thing, 'id') };
  return { name: requiredTextAt(thing, 'name'), domain: readDomain(objectAt(thing, 'domain')) };
}

function readDomain(domain: JsonObject): DomainReference {
  if (domain['id'] !== undefined && domain['id'] !== null) return { id: requiredTextAt(domain, 'id') };
  return { name: requiredTextAt(domain, 'name') };
}
