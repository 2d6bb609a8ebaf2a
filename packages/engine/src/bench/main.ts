process.stderr.write('');
