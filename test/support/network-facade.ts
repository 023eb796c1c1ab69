/** The network facade for tests: an application of its own, and calls as the tenant. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { withEmbeddedServices } from './embedded-services.ts';
import type { Answer, EmbeddedServices } from './embedded-services.ts';

/** Where the facade is. */
export const networkRoot = '/network/v2.0';

/** The services with tokens, and the shared network. */
export type World = EmbeddedServices & {
  readonly demo: string;
  readonly admin: string;
  readonly private_id: string;
  readonly subnet_id: string;
  /** A call as the tenant, below `/network/v2.0`. */
  readonly as: (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) => Promise<Answer>;
};

/** Starts the services. */
export async function networkWorld(t: TestContext): Promise<World> {
  const services = await withEmbeddedServices(t);
  const [demo, admin] = [await services.login('demo'), await services.login('admin')];
  const { network, subnets } = services.networks.tenant;
  const as: World['as'] = (method, path, body) => services.call(method, `${networkRoot}${path}`, demo, body);
  return { ...services, demo, admin, private_id: network.id, subnet_id: subnets[0]?.id ?? '', as };
}

/** A refusal in Neutron's form. */
export function assertNeutronError(answer: Answer, status: number, type?: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.deepEqual(Object.keys(answer.body.NeutronError).toSorted(), ['detail', 'message', 'type']);
  if (type !== undefined) assert.equal(answer.body.NeutronError.type, type);
}

/** The ids in a list. */
export const idsOf = (answer: Answer, plural: string): string[] => answer.body[plural].map((each: { id: string }) => each.id);
