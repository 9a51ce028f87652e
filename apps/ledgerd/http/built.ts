import { Refusal } from '#ledger';
import type { CreateSnapshotBody, LoadSnapshotBody, RegisterVmBody } from './bodies.ts';
import type { DeleteAllQuery, PlannedQuery } from './queries.ts';

/** What is part of the contract and not built yet is refused by name: to ignore it would be a lie. */
const refuse = (what: string): never => {
  throw new Refusal('unsupported', `${what} is not built yet`);
};

/** @throws {Refusal} `unsupported` */
export function requireBuiltRegistration({ domainXml }: RegisterVmBody): void {
  if (domainXml !== undefined) refuse('domainXml');
}

/** @throws {Refusal} `unsupported` */
export function requireBuiltCapture(body: CreateSnapshotBody, query: PlannedQuery): void {
  requireUnplanned(query);
  for (const field of ['memoryFile', 'memoryFormat', 'backups', 'planHash'] as const) {
    if (body[field] !== undefined) refuse(field);
  }
  if (body.quiesce !== undefined && body.quiesce !== 'none') refuse(`quiesce: "${body.quiesce}"`);
  for (const disk of body.disks ?? []) {
    for (const field of ['file', 'format', 'mode'] as const) {
      if (disk[field] !== undefined) refuse(`disks[].${field}`);
    }
  }
}

/** @throws {Refusal} `unsupported` */
export function requireBuiltLoad({ safety, planHash }: LoadSnapshotBody, query: PlannedQuery): void {
  requireUnplanned(query);
  if (planHash !== undefined) refuse('planHash');
  if (safety !== undefined && safety !== 'none') refuse(`safety: "${safety}"`);
}

/** @throws {Refusal} `unsupported` */
export function requireBuiltDelete(query: DeleteAllQuery): void {
  requireUnplanned(query);
  if (query.planHash !== undefined) refuse('planHash');
}

function requireUnplanned({ validateOnly }: PlannedQuery): void {
  if (validateOnly === true) refuse('validateOnly');
}
