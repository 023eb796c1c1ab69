/** A command that failed. */

/** The worker refuses a command; the message has its words, and no more of the command than its verb. */
export class CommandRefused extends Error {
  constructor(command: string, answer: string) {
    super(`${command.split(' ').slice(0, 2).join(' ')}: ${answer.slice(0, 200)}`);
    this.name = 'CommandRefused';
  }
}
