export { type Engine, type EngineOptions, startEngine } from './engine.ts';
export { helloImage } from './hello-image.ts';
export { type PreflightOptions, preflight } from './host/preflight.ts';
export { engineTools, findProgram, type HostTool, testTools } from './host/tools.ts';
export { createEngine, type InProcessEngine, type InProcessEngineOptions } from './in-process/create-engine.ts';
export { defaultHost, type EnginePaths, enginePaths, type ProgramName, programPath } from './paths.ts';
