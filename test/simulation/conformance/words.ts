import type { Message, Step } from './step.ts';

/* What scripts are written in. */

export const say = (execute: string, args?: object): { say: Message } => ({
  say: { execute, ...(args && { arguments: args }) },
});
export const img = (...args: string[]): Step => ({ img: args });
export const kill: Step = { kill: true };
export const start: Step = { start: true };

export const take = (device: string, name: string): Message => ({
  type: 'blockdev-snapshot-internal-sync',
  data: { device, name },
});
export const transaction = (...actions: object[]): { say: Message } => say('transaction', { actions });
export const dismiss = (id: string): Step => say('job-dismiss', { id });
export const info = (disk: string): Step => img('info', '-U', '--output=json', disk);

/** As the product names an image: by options, never by a name that could be parsed. */
export const opts = (disk: string): string => `driver=qcow2,file.driver=file,file.filename=${disk}`;
