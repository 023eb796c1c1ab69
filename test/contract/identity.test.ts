/** The contract of identities, for the embedded one and for one that asks a Keystone (the embedded identity behind HTTP). */
import { createPeople, keystoneIdentity, startKeystone } from '../support/keystone.ts';
import { identityContract } from './identity-contract.ts';

identityContract('embedded', async () => {
  const people = await createPeople();
  return { identity: people.local, people };
});

identityContract('keystone', async (t) => {
  const people = await startKeystone(t);
  return { identity: keystoneIdentity(t, people), people };
});
