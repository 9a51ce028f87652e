import { Refusal } from '#ledger';
import type { RegisterVmBody } from './bodies.ts';

/** What is part of the contract and not built yet is refused by name: to ignore it would be a lie. */
const refuse = (what: string): never => {
  throw new Refusal('unsupported', `${what} is not built yet`);
};

/** @throws {Refusal} `unsupported` */
export function requireBuiltRegistration({ domainXml }: RegisterVmBody): void {
  if (domainXml !== undefined) refuse('domainXml');
}
