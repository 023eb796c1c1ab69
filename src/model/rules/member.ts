/** Rules of a member beyond the types of its fields (api-ref "Create Member"). Pure. */
import { Fault } from '../faults.ts';
import type { Member } from '../member.ts';
import { canonicalAddress } from './addresses.ts';

/** Checks a member's address against the reserved ones; throws `Fault` 400. */
export function checkMemberAddress(address: string, reserved_ips: readonly string[]): void {
  const canonical = canonicalAddress(address);
  if (reserved_ips.some((reserved) => canonicalAddress(reserved) === canonical))
    throw new Fault(400, `${address} is not a valid option for member address`);
}

/** What two members of a pool may not share. Compared as text, as clients do when they match a list against what they sent. */
export const memberKey = ({ address, protocol_port }: Pick<Member, 'address' | 'protocol_port'>): string => `${address} ${protocol_port}`;

/** The fault for a second member with the same address and port. */
export const duplicateMember = ({ address, protocol_port }: Pick<Member, 'address' | 'protocol_port'>): Fault =>
  new Fault(409, `Another member on this pool is already using ip ${address} on protocol_port ${protocol_port}`);
