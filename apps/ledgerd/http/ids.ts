import { createParamDecorator, type ExecutionContext, Param } from '@nestjs/common';
import { isUuidShaped, Refusal, type RefusalCode } from '#ledger';
import type { HttpRequest } from './wire.ts';

/** Where in a path a snapshot stands. */
export interface SnapshotIds {
  readonly vmId: string;
  readonly snapshotId: string;
}

/**
 * What is not shaped like an id cannot be known, so it is answered like an id that nobody knows.
 *
 * @throws {Refusal} with `code`
 */
function idIn(text: unknown, code: RefusalCode): string {
  if (typeof text === 'string' && isUuidShaped(text)) return text.toLowerCase();
  throw new Refusal(code, `"${String(text)}" is no id; names are looked up with ?name=`);
}

/** The `{vm}` of a path. */
export const VmId = (): ParameterDecorator =>
  Param('vm', { transform: (text: unknown) => idIn(text, 'vm-unknown') });

/** The `{id}` of an operation in a path. */
export const OperationId = (): ParameterDecorator =>
  Param('id', { transform: (text: unknown) => idIn(text, 'operation-unknown') });

/** The `{vm}` and the `{id}` of a snapshot in a path. */
export const SnapshotPath = createParamDecorator((_: unknown, context: ExecutionContext): SnapshotIds => {
  const { params } = context
    .switchToHttp()
    .getRequest<HttpRequest & { params: { vm: unknown; id: unknown } }>();
  return { vmId: idIn(params.vm, 'vm-unknown'), snapshotId: idIn(params.id, 'snapshot-unknown') };
});
