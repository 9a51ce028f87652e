import { applyDecorators } from '@nestjs/common';
import { ApiResponse, type ApiResponseOptions } from '@nestjs/swagger';
import type { AnswerName } from './answer-schemas.ts';

const answer = (status: number, name: AnswerName): ApiResponseOptions => ({
  status,
  description: name,
  content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } },
});

const problem: ApiResponseOptions = {
  status: 'default',
  description: 'What else may be the answer',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

/** What a route is answered with, for the OpenAPI document. */
export const Answers = (status: number, name: AnswerName): MethodDecorator =>
  applyDecorators(ApiResponse(answer(status, name)), ApiResponse(problem));

/** A route whose answer is no JSON. */
export const AnswersText = (status: number, mediaType: string, says: string): MethodDecorator =>
  applyDecorators(
    ApiResponse({ status, description: says, content: { [mediaType]: { schema: { type: 'string' } } } }),
    ApiResponse(problem),
  );

/** A route that has nothing to say but that it is done. */
export const AnswersNothing = (status: number, says: string): MethodDecorator =>
  applyDecorators(ApiResponse({ status, description: says }), ApiResponse(problem));
