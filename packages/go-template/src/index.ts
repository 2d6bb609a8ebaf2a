export type { ExecuteOptions } from './execute.ts';
export type { TemplateFunction } from './functions.ts';
export { parseTemplate, type Template } from './template.ts';
