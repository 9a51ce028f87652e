import { expect, test } from 'vitest';
import { RouteMap } from './route-map.ts';

test('a path is told from a method', () => {
  const routes = new RouteMap();
  routes.add('/v1/vms', ['GET', 'POST']);
  routes.add('/v1/vms/:vm', ['GET']);
  routes.add('/v1/vms/:vm', ['DELETE']);
  expect(routes.methodsAt('/v1/vms?name=x')).toEqual(['GET', 'POST']);
  expect(routes.methodsAt('/v1/vms/1')).toEqual(['DELETE', 'GET']);
  expect(routes.methodsAt('/v1/vms/')).toEqual([]);
  expect(routes.methodsAt('/v1/vms/1/2')).toEqual([]);
  expect(routes.methodsAt('/')).toEqual([]);
});
