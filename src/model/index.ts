/** The domain in the API's own words: what exists, what its fields are, and which rules hold across objects. */
export * from './amphora.ts';
export * from './availability-zone.ts';
export * from './faults.ts';
export * from './field.ts';
export * from './flavor.ts';
export * from './healthmonitor.ts';
export * from './l7policy.ts';
export * from './l7rule.ts';
export * from './listener.ts';
export * from './loadbalancer.ts';
export * from './member.ts';
export * from './pool.ts';
export * from './status.ts';
export * from './tree.ts';
