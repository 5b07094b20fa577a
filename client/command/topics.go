package command

import "github.com/spf13/cobra"

func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit status of cps means",
		Long: `The exit status of cps says what a script has to do next:

  0    it worked
  1    it failed: the request is wrong, a name is taken, the state does not allow it
  2    the command line is wrong, or a confirmation or password is needed and there is no terminal
  3    the application, service, node, operation or cloud is not there, or belongs to somebody else
  4    refused: not logged in, no right, quota or credit used up, certificate not trusted
  5    the director or something that it needs does not answer now, or --timeout has passed; try again
  6    the operation that was waited for has failed or was cancelled
  130  interrupted; an operation that was begun goes on

cps node exec gives the exit status of the command that ran on the node, where one ran.`,
	}
}

func newOutputTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "output",
		Short: "Tables, JSON and YAML",
		Long: `Every command that shows something does so as a table for people (the default), with -o json as
JSON or with -o yaml as YAML. Scripts use JSON or YAML: their field names are those of the API and
stay; tables may change. A list is an array. Times are UTC, sizes are bytes.

Results go to standard output; progress, questions and errors go to standard error. Tables are cut
to the width of a terminal and are whole elsewhere. Colours are used on terminals only, and never
when NO_COLOR is set. Characters by which a name could deceive a terminal are shown as escapes.

Commands that begin an operation wait for it and then show it; with --no-wait they show it at once.`,
	}
}

func newFilesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "files",
		Short: "The files and variables that cps uses",
		Long: `The state folder is ~/.conpaas, the one in $CONPAAS_HOME, or the one of --conf:

  ca_cert.pem  the CA certificates that the director's certificate must be signed by; follows a rotation
  config       the director's URL and the user name of the last login.Login, as JSON
  token        what proves the login; who can read it acts as you
  user.pem     the key and the certificate of cps user get-certificate, used in the place of a token

and, written by you, cps-tools.conf, as for the original tools. It has a section [cps-tools] with
director_url, username, password, certificate (the file of cps user get-certificate --out) and debug (true
or false), all optional, one line each, values as they are. /etc/cps-tools/cps-tools.conf is the same for all users; --conf-file names a file instead
of both. A file with a password must be its owner's alone (mode 0600).

What is said in several places is taken from the first of: options, the variables CONPAAS_DIRECTOR_URL,
CONPAAS_USERNAME, CONPAAS_PASSWORD and CONPAAS_CERTIFICATE, the user's file, the file of all users, the last login. A password
is used only for the user and director that it was written for. Where there is one, cps logs in by itself
as often as needed; a login in the place of another user's ends with the command.

Variables: CONPAAS_HOME names the state folder; CONPAAS_TOTP is the code of the second factor for a login; NO_COLOR switches colours off. Called by the
name of one of the original tools, such as cps-service, cps behaves as that one: cps install-links --help.`,
	}
}

func newManifestsTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "manifests",
		Short: "What is in a manifest",
		Long: `A manifest is a JSON or YAML document with the keys

  Application  the application's name
  Description  for people
  Cloud        the cloud of its manager, and of services that name none
  Services     the list of its services, each with

    ServiceName       its name (default: the type, with a number where that is taken)
    Type              its type; cps service types lists them
    Cloud             the cloud of its machines
    Start             0 or 1: whether it is to run (default 1)
    StartupInstances  machines per role, for example {"proxy": 1, "backend": 3}
    StartupScript     file or URL of the script that each new machine runs once
    Archive           file or URL of the code, of types that run their owner's
    Dump              file or URL of the dump that a database begins with (mysql); never loaded over data
    Password          of the database's user (mysql)
    Settings          settings by name, for example {"memory_limit": "256M"}
    Environment       variables that its programs get
    Secrets           variables that nobody is shown; *** means: as it is, or a random one where there is none
    Links             names of the services whose addresses and passwords its programs get (default: all)

  Volumes      the list of the volumes that users make, each with

    Name     its name
    Size     its MiB (default 1024)
    Service  the service whose machines have it, one after another
    Role     of those machines (default: the first of the service's type)
    Cloud    of a volume without a service

An unknown key is refused with the nearest known one. What is left out stays as it is, or as the type begins. Manifests of the
original ConPaaS are read as they are; there the type xtreemfs is left out by --without xtreemfs.`,
	}
}
