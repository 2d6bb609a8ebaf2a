export { type Engine, type EngineOptions, startEngine } from './engine.ts';
export { helloImage } from './hello-image.ts';
export { preflight, type PreflightOptions } from './host/preflight.ts';
export { engineTools, findProgram, type HostTool, testTools } from './host/tools.ts';
export { defaultHost, enginePaths, type EnginePaths, type ProgramName, programPath } from './paths.ts';
