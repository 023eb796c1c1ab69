"""The `openstack` command without the second that it takes to load: one process loads it, and forks for each command.

    quick-client.py serve SOCKET        with the interpreter that has the client
    quick-client.py ask SOCKET WORD…    with any; runs `openstack WORD…` with this process's files, folder and environment

It is the client's own entry point that runs, in a process of its own for each command. The server ends with its standard input.
"""
import array
import json
import logging
import os
import select
import signal
import socket
import sys


def ask(path, words):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = json.dumps({'words': words, 'cwd': os.getcwd(), 'env': dict(os.environ)}).encode()
        files = array.array('i', [0, 1, 2])
        connection.sendmsg([len(request).to_bytes(4, 'big')], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(request)
        answer = connection.recv(1)
        return answer[0] if answer else 1


def serve(path):
    sys.argv = ['openstack']
    from openstackclient import shell
    # Looking for plug-ins is half of the time: done once, on nobody's behalf.
    out, sys.stdout = sys.stdout, open(os.devnull, 'w')
    try:
        shell.main(['loadbalancer', 'list', '--help'])
    except SystemExit:
        pass
    sys.stdout = out
    # Each command sets up logs for itself: with these, too, everything would be said twice.
    logging.getLogger('').handlers.clear()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable and not os.read(0, 1):
                return 0
            if listener in readable:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    os._exit(carry_out(connection, shell))
                connection.close()


def carry_out(connection, shell):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(12))
    files = array.array('i')
    files.frombytes(ancillary[0][2][:12])
    request = json.loads(connection.recv(int.from_bytes(length, 'big'), socket.MSG_WAITALL))
    for target, source in enumerate(files):
        os.dup2(source, target)
        os.close(source)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    sys.argv[1:] = request['words']
    try:
        code = shell.main(request['words']) or 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        import traceback
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([code & 255]))
    return 0


if __name__ == '__main__':
    mode, path, *words = sys.argv[1:]
    sys.exit(serve(path) if mode == 'serve' else ask(path, words))
