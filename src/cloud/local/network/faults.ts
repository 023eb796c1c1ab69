/** What the embedded network service answers when it refuses, under Neutron's names. */
import { Fault } from '../../../model/faults.ts';

/** A refusal with the name that Neutron gives it (`NeutronError.type`). */
export class NetworkFault extends Fault {
  readonly type: string;

  constructor(status: number, type: string, message: string, options: { cause?: unknown } = {}) {
    super(status, message, options);
    this.name = 'NetworkFault';
    this.type = type;
  }
}

/** The 400 for a request that says something impossible. */
export function invalidInput(message: string): NetworkFault {
  return new NetworkFault(400, 'InvalidInput', `Invalid input for operation: ${message}.`);
}

/** The 404 of each kind of resource. */
export const missing = {
  network: (id: string): NetworkFault => new NetworkFault(404, 'NetworkNotFound', `Network ${id} could not be found.`),
  subnet: (id: string): NetworkFault => new NetworkFault(404, 'SubnetNotFound', `Subnet ${id} could not be found.`),
  port: (id: string): NetworkFault => new NetworkFault(404, 'PortNotFound', `Port ${id} could not be found.`),
  security_group: (id: string): NetworkFault => new NetworkFault(404, 'SecurityGroupNotFound', `Security group ${id} does not exist`),
  security_group_rule: (id: string): NetworkFault =>
    new NetworkFault(404, 'SecurityGroupRuleNotFound', `Security group rule ${id} does not exist`),
  floating_ip: (id: string): NetworkFault => new NetworkFault(404, 'FloatingIPNotFound', `Floating IP ${id} could not be found`),
  router: (id: string): NetworkFault => new NetworkFault(404, 'RouterNotFound', `Router ${id} could not be found`),
  qos_rule: (id: string): NetworkFault => new NetworkFault(404, 'QosRuleNotFound', `QoS rule ${id} could not be found.`),
  qos_policy: (id: string): NetworkFault => new NetworkFault(404, 'QosPolicyNotFound', `QoS policy ${id} could not be found.`),
} as const;
