# Written by ConPaaS; a change here is overwritten.
# The programs of a state transfer read this first (BASH_ENV). The one that gives the data waits 10 s until the other one, which has received
# the beginning, listens again. That takes milliseconds, and socat tries again for 10 s when it takes longer (sockopt in my.cnf). Without any wait the
# data could be sent to who has received the beginning and is about to end.
sleep() {
	if [ "$1" = 10 ]; then set -- 1; fi
	command sleep "$@"
}
